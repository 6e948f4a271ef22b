// Rows of F32 tensors for kernels that look up several per unit: Tensor::row() asks for the size of
// an element first, which takes as long as dozens of values.
#pragma once

#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

KEDGE_INLINE float* float_row(const Tensor& t, std::int64_t row) noexcept {
  return t.as<float>() + row * t.width();
}

}  // namespace kedge::inline KEDGE_ABI::cpu
