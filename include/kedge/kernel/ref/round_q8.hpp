// The rounding policy of activations, shared by every kernel that writes q8_act, this reference and
// the CPU's: per 32 values d = max|x| / 127, q = x * (127 / max|x|) to nearest, ties to even.
// A block whose largest magnitude is below 2^-100 rounds to zeros with d = 0, so that 127 / max|x|
// is always finite. A block with a NaN or an infinity has zeros and d = NaN: whatever is computed
// from it is NaN, and the caller's check of the logits sees it.
#pragma once

#include <cmath>
#include <limits>

#include "kedge/core/block.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI::ref {

inline void round_block(const float* x, BlockQ8Act& block) noexcept {
  float largest = 0;
  bool finite = true;
  for (int i = 0; i < 32; ++i) {
    finite = finite && std::isfinite(x[i]);
    largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
  }
  block = {};
  if (!finite) {
    block.d = block.d_sum = std::numeric_limits<float>::quiet_NaN();
    return;
  }
  const bool nothing = largest < 0x1p-100f;
  const float inverse = nothing ? 0.0f : 127.0f / largest;
  block.d = nothing ? 0.0f : largest / 127.0f;
  int sum[2] = {0, 0};
  for (int i = 0; i < 32; ++i) {
    const int q = static_cast<int>(std::nearbyintf(x[i] * inverse));
    block.q[i] = static_cast<std::int8_t>(q);
    sum[i / 16] += q;
  }
  block.d_sum = block.d * static_cast<float>(sum[0] + sum[1]);
  block.neg8_sum = -8 * (sum[0] + sum[1]);
  block.neg16_sum = -16 * (sum[0] + sum[1]);
  block.neg128_sum = -128 * (sum[0] + sum[1]);
  block.neg32_sum[0] = -32 * sum[0];
  block.neg32_sum[1] = -32 * sum[1];
}

// Stores a row of results, rounding it when the output asks for int8 activations.
inline void store_row(const float* values, const Tensor& y, std::int64_t row) noexcept {
  if (y.element == Element::q8_act) {
    for (std::int64_t b = 0; b < y.width() / 32; ++b)
      round_block(values + b * 32, y.row<BlockQ8Act>(row)[b]);
  } else {
    for (std::int64_t i = 0; i < y.width(); ++i) y.row<float>(row)[i] = values[i];
  }
}

}  // namespace kedge::inline KEDGE_ABI::ref
