// PlanKernel: how a plan finds the kernel of a node: by its operator's name, in a table made from
// the list of operators that have a shader.
#pragma once

#include "kedge/backend/vulkan.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

std::span<const PlanKernel> built_in_kernels() noexcept;

}  // namespace kedge::inline KEDGE_ABI::vulkan
