#include "kernels.hpp"

#include "kedge/kernel_vulkan_includes.inc"

namespace kedge::inline KEDGE_ABI::vulkan {

std::span<const PlanKernel> built_in_kernels() noexcept {
  static constexpr PlanKernel table[] = {
#define KEDGE_OP(name, Camel) plan_kernel<op::Camel>,
#include "kedge/shader_ops.inc"
#undef KEDGE_OP
  };
  return table;
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
