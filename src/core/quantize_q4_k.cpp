// Q4_K: x ~ (d scale) q - (dmin minimum), q in 0..15, scale and minimum in 0..63, per 32 values; d
// and dmin per 256. Two searches, both by weighted squared error:
//   1. each sub-block alone, scale and minimum real: values are rounded with steps around
//      (high - low) / 15, and for each rounding the best scale and minimum follow from the normal
//      equations of a line through (q, x), the minimum held at no less than 0;
//   2. d and dmin from the largest of them; then, for each sub-block, the 6-bit pairs around the
//      rounded ones are tried with the values rounded anew, since the rounding of one can be made
//      good by the other.
// Weights rms + |x|: large values matter more, as they do in a product with activations of equal
// size, and none is without weight. Sums run over eight lanes in a fixed order.
#include <cmath>

#include "core/quantize_block.hpp"

namespace kedge::inline KEDGE_ABI::quantizer {

namespace {

constexpr int lanes = 8, values = 32, most = 15;

// The sum over i of term(i), eight chains side by side: the compiler may use vectors and no choice
// of it changes a bit.
template <class Term>
inline float sum(Term term) noexcept {
  float lane[lanes] = {};
  for (int i = 0; i < values; i += lanes)
    for (int l = 0; l < lanes; ++l) lane[l] += term(i + l);
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

// Nearest of 0..15 as a float; what is not above 0 becomes 0.
inline float quantum(float t) noexcept {
  const float limited = t > 0.0f ? (t < 15.0f ? t : 15.0f) : 0.0f;
  return static_cast<float>(static_cast<int>(limited + 0.5f));
}

struct Fit {
  float scale = 0, minimum = 0;
};

Fit fit_sub_block(const float* x, const float* w) noexcept {
  float low = 0, high = x[0];  // the minimum cannot lift values
  for (int i = 0; i < values; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  const float range = high - low;
  if (!(range > 0x1p-100f)) return {0, -low};
  const float sum_w = sum([&](int i) { return w[i]; });
  const float sum_x = sum([&](int i) { return w[i] * x[i]; });
  Fit best;
  float least = HUGE_VALF;
  for (int step = 0; step <= 24; ++step) {
    const float inverse = (13.8f + 0.1f * static_cast<float>(step)) / range;
    float q[values];
    for (int i = 0; i < values; ++i) q[i] = quantum(inverse * (x[i] - low));
    const float sum_q = sum([&](int i) { return w[i] * q[i]; });
    const float sum_qq = sum([&](int i) { return w[i] * q[i] * q[i]; });
    const float sum_qx = sum([&](int i) { return w[i] * q[i] * x[i]; });
    const float determinant = sum_w * sum_qq - sum_q * sum_q;
    if (!(determinant > 0)) continue;
    float scale = (sum_w * sum_qx - sum_x * sum_q) / determinant;
    float offset = (sum_qq * sum_x - sum_q * sum_qx) / determinant;
    if (offset > 0) {
      offset = 0;
      scale = sum_qx / sum_qq;
    }
    if (!(scale > 0)) continue;
    const float error = sum([&](int i) {
      const float e = scale * q[i] + offset - x[i];
      return w[i] * e * e;
    });
    if (error < least) {
      least = error;
      best = {scale, -offset};
    }
  }
  return least < HUGE_VALF ? best : Fit{range / most, -low};
}

// Weighted error of x ~ scale q - minimum, with q as it is rounded then.
float round_sub_block(const float* x, const float* w, float scale, float minimum,
                      float* q) noexcept {
  const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
  for (int i = 0; i < values; ++i) q[i] = quantum(inverse * (x[i] + minimum));
  return sum([&](int i) {
    const float e = scale * q[i] - minimum - x[i];
    return w[i] * e * e;
  });
}

inline int nearest_6_bits(float t) noexcept {
  return t > 0.0f ? (t < 63.0f ? static_cast<int>(t + 0.5f) : 63) : 0;
}

}  // namespace

bool block_q4_k(const float* x, BlockQ4_K& block) noexcept {
  float w[256], largest_scale = 0, largest_minimum = 0;
  Fit fit[8];
  for (int j = 0; j < 8; ++j) {
    const float* part = x + values * j;
    const float rms = std::sqrt(sum([&](int i) { return part[i] * part[i]; }) / values);
    for (int i = 0; i < values; ++i) w[values * j + i] = rms + std::fabs(part[i]);
    fit[j] = fit_sub_block(part, w + values * j);
    largest_scale = fit[j].scale > largest_scale ? fit[j].scale : largest_scale;
    largest_minimum = fit[j].minimum > largest_minimum ? fit[j].minimum : largest_minimum;
  }
  __builtin_memset(&block, 0, sizeof block);
  block.d = f32_to_f16(largest_scale / 63);
  block.dmin = f32_to_f16(largest_minimum / 63);
  if (!finite_f16(block.d) || !finite_f16(block.dmin)) return false;
  const float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
  std::uint8_t scales[8], minima[8];
  for (int j = 0; j < 8; ++j) {
    const int scale = nearest_6_bits(d > 0 ? fit[j].scale / d : 0.0f);
    float ground = fit[j].minimum;
    if (!(d > 0)) {  // too small for F16: one level is left, best the mean
      const float* v = w + values * j;
      ground =
          -sum([&](int i) { return v[i] * x[values * j + i]; }) / sum([&](int i) { return v[i]; });
    }
    const int minimum = nearest_6_bits(dmin > 0 ? ground / dmin : 0.0f);
    float least = HUGE_VALF, chosen[values] = {};
    scales[j] = minima[j] = 0;
    for (int s = scale - 1; s <= scale + 1; ++s)
      for (int m = minimum - 1; m <= minimum + 1; ++m) {
        if (s < 0 || s > 63 || m < 0 || m > 63) continue;
        float q[values];
        const float error =
            round_sub_block(x + values * j, w + values * j, d * static_cast<float>(s),
                            dmin * static_cast<float>(m), q);
        if (!(error < least)) continue;
        least = error;
        scales[j] = static_cast<std::uint8_t>(s);
        minima[j] = static_cast<std::uint8_t>(m);
        __builtin_memcpy(chosen, q, sizeof q);
      }
    for (int i = 0; i < values; ++i) {
      std::uint8_t& byte = block.q[j / 2 * 32 + i];
      byte = static_cast<std::uint8_t>(byte | static_cast<int>(chosen[i]) << (j % 2 * 4));
    }
  }
  format::set_k_scales(block.scales, scales, minima);
  return true;
}

}  // namespace kedge::inline KEDGE_ABI::quantizer
