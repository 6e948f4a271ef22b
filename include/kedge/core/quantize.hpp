// From F32 values to a weight format: for loading F32, F16 or BF16 files as Q8_0, Q4_0 or Q4_K. The
// bytes are the same on every machine, for every executor and whatever floating-point modes the
// caller has.
//   f32 f16 bf16  to nearest, ties to even
//   q8_0          d = max|x| / 127, q = x (1 / d) to nearest, halves away from zero
//   q4_0          d = x_e / -8 with x_e the first value of largest magnitude, q = trunc(x (1 / d)
//   + 8.5)
//                 Both as ggml's reference and the `gguf` package do it, byte for byte.
//   q4_k          scale and minimum of each 32 values by a search that minimizes the squared error,
//                 weighted by rms + |x|; then again among the neighbours of their 6-bit roundings
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/buffer.hpp"
#include "kedge/core/executor.hpp"
#include "kedge/core/result.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI {

// Whether there is a quantizer for the format.
KEDGE_API bool can_quantize(Element target) noexcept;

// Writes `width` values, a multiple of the format's block, as a row of row_bytes(target, width)
// bytes. Code::numeric names the first value that is NaN, infinite, or too large for the format;
// `out` then holds nothing of use. Code::unsupported when there is no quantizer.
KEDGE_API Status quantize_row(Element target, const float* x, std::int64_t width,
                              std::byte* out) noexcept;

// Converts a row_major matrix of any weight format into `target`, of the same extents and in memory
// that the caller has. Rows are work for the executor (null: the calling thread). Errors as above,
// of the first row that has one.
KEDGE_API Status quantize(const Tensor& source, const Tensor& target,
                          Executor* executor = nullptr) noexcept;

// The same into memory of its own.
struct QuantizedMatrix {
  Buffer memory;
  Tensor tensor;
};
KEDGE_API Result<QuantizedMatrix> quantize(
    const Tensor& source, Element target, Executor* executor = nullptr,
    const Allocator& allocator = default_allocator()) noexcept;

}  // namespace kedge::inline KEDGE_ABI
