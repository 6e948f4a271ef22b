// Weights on Vulkan: blocks of rows where the device's limit of a binding is smaller than the
// weight.
#pragma once

#include "kedge/kernel/vulkan/dispatch.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

// Rows that one binding may hold, so that the next block starts aligned.
inline Result<std::uint64_t> block_rows(const Limits& limits, const char* op,
                                        const Tensor& weight) noexcept {
  const std::uint64_t row = row_bytes(weight.element, weight.width());
  const auto rows = static_cast<std::uint64_t>(weight.rows());
  if (row * rows <= limits.max_binding_bytes) return rows;
  std::uint64_t granule = 1;  // the alignment is a power of two
  while (granule * row % limits.binding_alignment != 0) granule *= 2;
  const std::uint64_t block = limits.max_binding_bytes / (granule * row) * granule;
  if (block == 0)
    return fail(
        Code::unsupported, op,
        "weight: %llu rows of %llu bytes are the fewest that can be bound apart; the device "
        "binds at most %llu bytes",
        static_cast<unsigned long long>(granule), static_cast<unsigned long long>(row),
        static_cast<unsigned long long>(limits.max_binding_bytes));
  return block;
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
