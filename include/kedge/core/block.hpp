// Block formats as they stand in files: one storage struct each and the reference decode to F32.
// Facts of the formats: GGUF's documentation and the `gguf` Python package, against which
// tests/golden/formats checks every decode here bit for bit. Little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kedge/core/element.hpp"
#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

// x = d * q
struct BlockQ8_0 {
  std::uint16_t d;
  std::int8_t q[32];
};
// x = d * (q - 8); value i is the low nibble of byte i, value i+16 its high nibble
struct BlockQ4_0 {
  std::uint16_t d;
  std::uint8_t q[16];
};
// x = d * q + m; nibbles as in q4_0
struct BlockQ4_1 {
  std::uint16_t d, m;
  std::uint8_t q[16];
};
// 256 values: x = d * scale[i/16] * (q - 32). Low four bits in `low`, upper two in `high`; each
// half of 128 values takes 64 bytes of `low` and 32 of `high`.
struct BlockQ6_K {
  std::uint8_t low[128];
  std::uint8_t high[64];
  std::int8_t scale[16];
  std::uint16_t d;
};
// Activations for integer products: x ~ d * q with d = max|x| / 127 over 32 values, ties to even.
// 64 bytes, one cache line: every term that a weight format's offset needs is there already, so the
// product's inner loop only broadcasts from memory (a broadcast load costs nothing beside the dot).
struct alignas(64) BlockQ8Act {
  std::int8_t q[32];
  float d;
  float d_sum;                // d * sum(q): q4_1's minimum
  std::int32_t neg8_sum;      // -8 * sum(q): q4_0's offset
  std::int32_t neg128_sum;    // -128 * sum(q): q8_0 stored unsigned
  std::int32_t neg32_sum[2];  // -32 * sum over each 16: q6_k's offset, one per sub-scale
  std::int32_t unused[2];
};

static_assert(sizeof(BlockQ8_0) == traits(Element::q8_0).bytes);
static_assert(sizeof(BlockQ4_0) == traits(Element::q4_0).bytes);
static_assert(sizeof(BlockQ4_1) == traits(Element::q4_1).bytes);
static_assert(sizeof(BlockQ6_K) == traits(Element::q6_k).bytes);
static_assert(sizeof(BlockQ8Act) == traits(Element::q8_act).bytes);

KEDGE_INLINE int q6_k_value(const BlockQ6_K& b, unsigned i) noexcept {  // 0..63, before the -32
  const unsigned half = i / 128, j = i % 128;
  const unsigned low = b.low[half * 64 + j % 64] >> (j / 64 * 4) & 15u;
  const unsigned high = b.high[half * 32 + j % 32] >> (j / 32 * 2) & 3u;
  return static_cast<int>(low | high << 4);
}

// Decodes values [0, width) of a row whose blocks start at `row`. Products are rounded once per
// step, in the order written: the definition that packed kernels and shaders are compared with.
KEDGE_INLINE void decode_row(Element element, const std::byte* row, std::int64_t width,
                             float* out) noexcept {
  const auto block = [row]<class B>(std::int64_t index) __attribute__((always_inline)) {
    B b;
    std::memcpy(&b, row + static_cast<std::size_t>(index) * sizeof(B), sizeof(B));
    return b;
  };
  for (std::int64_t i = 0; i < width; ++i) {
    const auto k = static_cast<unsigned>(i % 32);
    switch (element) {
      case Element::f32:
        out[i] = block.operator()<float>(i);
        break;
      case Element::f16:
        out[i] = f16_to_f32(block.operator()<std::uint16_t>(i));
        break;
      case Element::bf16:
        out[i] = bf16_to_f32(block.operator()<std::uint16_t>(i));
        break;
      case Element::q8_0: {
        const auto b = block.operator()<BlockQ8_0>(i / 32);
        out[i] = f16_to_f32(b.d) * static_cast<float>(b.q[k]);
        break;
      }
      case Element::q4_0: {
        const auto b = block.operator()<BlockQ4_0>(i / 32);
        out[i] = f16_to_f32(b.d) * static_cast<float>(int(b.q[k % 16] >> (k / 16 * 4) & 15) - 8);
        break;
      }
      case Element::q4_1: {
        const auto b = block.operator()<BlockQ4_1>(i / 32);
        const float product =
            f16_to_f32(b.d) * static_cast<float>(b.q[k % 16] >> (k / 16 * 4) & 15);
        out[i] = product + f16_to_f32(b.m);
        break;
      }
      case Element::q6_k: {
        const auto b = block.operator()<BlockQ6_K>(i / 256);
        const auto j = static_cast<unsigned>(i % 256);
        const float scale = f16_to_f32(b.d) * static_cast<float>(b.scale[j / 16]);
        out[i] = scale * static_cast<float>(q6_k_value(b, j) - 32);
        break;
      }
      case Element::q8_act: {
        const auto b = block.operator()<BlockQ8Act>(i / 32);
        out[i] = b.d * static_cast<float>(b.q[k]);
        break;
      }
      default:
        out[i] = 0;
        break;
    }
  }
}

}  // namespace kedge::inline KEDGE_ABI
