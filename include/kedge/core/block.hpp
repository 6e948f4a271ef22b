// Rows of values in any element: the reference decode to F32, and the blocks of rounded
// activations. What a weight format is stands in core/format/. Little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kedge/core/element.hpp"
#include "kedge/core/half.hpp"

namespace kedge::inline KEDGE_ABI {

// Activations for integer products: x ~ d * q with d = max|x| / 127 over 32 values, ties to even.
// 64 bytes, one cache line: every term that a weight format's offset needs is there already, so the
// product's inner loop only broadcasts from memory (a broadcast load costs nothing beside the dot).
struct alignas(64) BlockQ8Act {
  std::int8_t q[32];
  float d;
  float d_sum;                // d * sum(q): minima of q4_1, q5_1, q4_k, q5_k
  std::int32_t neg8_sum;      // -8 * sum(q): q4_0's offset
  std::int32_t neg16_sum;     // -16 * sum(q): q5_0's offset
  std::int32_t neg128_sum;    // -128 * sum(q): q8_0 stored unsigned
  std::int32_t neg32_sum[2];  // -32 * sum over each 16: q6_k's offset, one per sub-scale
  std::int32_t unused;
};

static_assert(sizeof(BlockQ8Act) == traits(Element::q8_act).bytes);

// Calls f.operator()<Format>() for the struct of a weight format; false for another element.
template <class F>
KEDGE_INLINE constexpr bool visit_format(Element element, F&& f) noexcept {
  switch (element) {
#define KEDGE_FORMAT(stem, Type)           \
  case Element::stem:                      \
    f.template operator()<format::Type>(); \
    return true;
    KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
    default:
      return false;
  }
}

// Decodes values [0, width) of a row whose blocks start at `row`. Products are rounded once per
// step, in the order written: the definition that packed kernels and shaders are compared with.
KEDGE_INLINE void decode_row(Element element, const std::byte* row, std::int64_t width,
                             float* out) noexcept {
  const auto decode = [=]<class Format>() __attribute__((always_inline)) {
    typename Format::Block block;
    for (std::int64_t i = 0; i < width; i += Format::values) {
      __builtin_memcpy(&block, row + i / Format::values * static_cast<std::int64_t>(sizeof block),
                       sizeof block);
      Format::decode(block, out + i);
    }
  };
  if (visit_format(element, decode)) return;
  BlockQ8Act block = {};
  for (std::int64_t i = 0; i < width; ++i) {
    out[i] = 0;
    if (element != Element::q8_act) continue;
    if (i % 32 == 0) __builtin_memcpy(&block, row + i / 32 * 64, sizeof block);
    out[i] = block.d * static_cast<float>(block.q[i % 32]);
  }
}

}  // namespace kedge::inline KEDGE_ABI
