// Weights for tests, in the formats of files. The quantizer is the simplest that uses every field
// of a block: extremes decide the scales. It is not meant for models.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "cases/case.hpp"
#include "kedge/core/block.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "kedge/kernel/ref/round_q8.hpp"
#include "support/weight_elements.hpp"

namespace kedge::cases {

inline int nearest(float value, float step, int low, int high) {
  if (step == 0) return std::clamp(0, low, high);
  return std::clamp(static_cast<int>(std::lrint(value / step)), low, high);
}

inline void quantize_block(const float* x, BlockQ8_0& b) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  b.d = f32_to_f16(largest / 127);
  for (int i = 0; i < 32; ++i)  // -128 is legal in a file, so let it occur
    b.q[i] = static_cast<std::int8_t>(nearest(x[i], f16_to_f32(b.d) * 0.99f, -128, 127));
}
inline void quantize_block(const float* x, BlockQ4_0& b) {
  float largest = 0;
  for (int i = 0; i < 32; ++i)
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  b.d = f32_to_f16(largest / -8);
  for (int i = 0; i < 16; ++i) {
    const float d = f16_to_f32(b.d);
    const int low = nearest(x[i], d, -8, 7) + 8, high = nearest(x[i + 16], d, -8, 7) + 8;
    b.q[i] = static_cast<std::uint8_t>(low | high << 4);
  }
}
inline void quantize_block(const float* x, BlockQ4_1& b) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  b.d = f32_to_f16((*high - *low) / 15);
  b.m = f32_to_f16(*low);
  const float d = f16_to_f32(b.d), m = f16_to_f32(b.m);
  for (int i = 0; i < 16; ++i)
    b.q[i] = static_cast<std::uint8_t>(nearest(x[i] - m, d, 0, 15) |
                                       nearest(x[i + 16] - m, d, 0, 15) << 4);
}
inline void quantize_block(const float* x, BlockQ6_K& b) {
  b = {};
  float scale[16], largest = 0;
  for (int j = 0; j < 16; ++j) {
    float extreme = 0;
    for (int i = 0; i < 16; ++i)
      if (std::fabs(x[j * 16 + i]) > std::fabs(extreme)) extreme = x[j * 16 + i];
    scale[j] = extreme / -32;
    largest = std::max(largest, std::fabs(scale[j]));
  }
  b.d = f32_to_f16(largest / 127);
  for (int j = 0; j < 16; ++j) {
    b.scale[j] = static_cast<std::int8_t>(nearest(scale[j], f16_to_f32(b.d), -128, 127));
    const float step = f16_to_f32(b.d) * static_cast<float>(b.scale[j]);
    for (int i = 0; i < 16; ++i) {
      const int at = j * 16 + i, half = at / 128, k = at % 128;
      const int q = nearest(x[at], step, -32, 31) + 32;
      b.low[half * 64 + k % 64] |= static_cast<std::uint8_t>((q & 15) << (k / 64 * 4));
      b.high[half * 32 + k % 32] |= static_cast<std::uint8_t>((q >> 4) << (k / 32 * 2));
    }
  }
}

// Five bits: nibbles and the word of fifth bits.
template <class Block>
void set_five_bits(Block& b, int i, int q) {
  b.q[i % 16] = static_cast<std::uint8_t>(b.q[i % 16] | (q & 15) << (i / 16 * 4));
  b.high[i / 8] = static_cast<std::uint8_t>(b.high[i / 8] | (q >> 4) << (i % 8));
}
inline void quantize_block(const float* x, BlockQ5_0& b) {
  b = {};
  float largest = 0;
  for (int i = 0; i < 32; ++i)
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  b.d = f32_to_f16(largest / -16);
  for (int i = 0; i < 32; ++i) set_five_bits(b, i, nearest(x[i], f16_to_f32(b.d), -16, 15) + 16);
}
inline void quantize_block(const float* x, BlockQ5_1& b) {
  b = {};
  const auto [low, high] = std::minmax_element(x, x + 32);
  b.d = f32_to_f16((*high - *low) / 31);
  b.m = f32_to_f16(*low);
  for (int i = 0; i < 32; ++i)
    set_five_bits(b, i, nearest(x[i] - f16_to_f32(b.m), f16_to_f32(b.d), 0, 31));
}

// q4_k and q5_k; put(value index, quantum) stores what a value became.
template <class Block, class Put>
void quantize_k(const float* x, int most, Block& b, Put put) {
  float scale[8], minimum[8], largest_scale = 0, largest_minimum = 0;
  for (int j = 0; j < 8; ++j) {
    const auto [low, high] = std::minmax_element(x + 32 * j, x + 32 * j + 32);
    minimum[j] = std::max(0.0f, -*low);
    scale[j] = (*high + minimum[j]) / static_cast<float>(most);
    largest_scale = std::max(largest_scale, scale[j]);
    largest_minimum = std::max(largest_minimum, minimum[j]);
  }
  b = {};
  b.d = f32_to_f16(largest_scale / 63);
  b.dmin = f32_to_f16(largest_minimum / 63);
  const float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  std::uint8_t scales[8], minima[8];
  for (int j = 0; j < 8; ++j) {
    scales[j] = static_cast<std::uint8_t>(nearest(scale[j], d, 0, 63));
    minima[j] = static_cast<std::uint8_t>(nearest(minimum[j], dmin, 0, 63));
    for (int i = 0; i < 32; ++i)
      put(32 * j + i, nearest(x[32 * j + i] + dmin * minima[j], d * scales[j], 0, most));
  }
  format::set_k_scales(b.scales, scales, minima);
}
inline void quantize_block(const float* x, BlockQ4_K& b) {
  quantize_k(x, 15, b, [&b](int i, int q) {
    std::uint8_t& byte = b.q[i / 64 * 32 + i % 32];
    byte = static_cast<std::uint8_t>(byte | q << (i / 32 % 2 * 4));
  });
}
inline void quantize_block(const float* x, BlockQ5_K& b) {
  quantize_k(x, 31, b, [&b](int i, int q) {
    std::uint8_t &byte = b.q[i / 64 * 32 + i % 32], &high = b.high[i % 32];
    byte = static_cast<std::uint8_t>(byte | (q & 15) << (i / 32 % 2 * 4));
    high = static_cast<std::uint8_t>(high | (q >> 4) << (i / 32));
  });
}

inline void quantize_block(const float* x, float& b) { b = *x; }

// Writes `width` values as one row of the format.
inline void quantize_row(Element element, const float* x, std::int64_t width, std::byte* row) {
  if (element == Element::q8_act) {
    for (std::int64_t i = 0; i < width; i += 32)
      ref::round_block(x + i, reinterpret_cast<BlockQ8Act*>(row)[i / 32]);
    return;
  }
  visit_format(element, [&]<class Format>() {
    for (std::int64_t i = 0; i < width; i += Format::values) {
      typename Format::Block block;
      if constexpr (std::is_same_v<Format, format::F16>) block = f32_to_f16(x[i]);
      else if constexpr (std::is_same_v<Format, format::BF16>) block = f32_to_bf16(x[i]);
      else quantize_block(x + i, block);
      std::memcpy(row + i / Format::values * static_cast<std::int64_t>(sizeof block), &block,
                  sizeof block);
    }
  });
}

// A matrix of normal values times `scale` in any format, as it would stand in a file.
inline Tensor random_matrix(Workspace& w, Element element, std::uint64_t stream, float scale,
                            std::int64_t rows, std::int64_t width) {
  const Tensor values = w.random(stream, scale, rows, width);
  if (element == Element::f32) return values;
  const Tensor t = w.make(element, rows, width);
  for (std::int64_t r = 0; r < rows; ++r)
    quantize_row(element, values.row<float>(r), width, t.row<std::byte>(r));
  return t;
}

// The same matrix in panels, for the CPU.
inline Tensor packed(Workspace& w, const Tensor& weight) {
  Tensor t = weight;
  t.layout = Layout::panel16;
  t.data = w.allocate(cpu::packed_bytes(weight.element, weight.rows(), weight.width()));
  cpu::pack(weight, t.data, 0, cpu::panel_count(weight.rows()));
  return t;
}

}  // namespace kedge::cases
