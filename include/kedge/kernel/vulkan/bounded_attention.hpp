// Host side of bounded_attention on Vulkan: attention's shaders with a constant set.
#pragma once

#include "kedge/kernel/vulkan/attention.hpp"
#include "kedge/op/bounded_attention.hpp"

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::BoundedAttention> {
  static Status record(const op::Attention::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    return vulkan::record_attention(op::BoundedAttention::name, a, rows, recorder);
  }
};

}  // namespace kedge::inline KEDGE_ABI
