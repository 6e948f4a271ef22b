// Every operator with a shader over its cases. A case that Vulkan has no kernel for must be
// refused.
#include "parity/vulkan_parity.hpp"

#include "kedge/cases_includes.inc"
#include "kedge/kernel_ref_includes.inc"
#include "kedge/kernel_vulkan_includes.inc"

namespace kedge::cases {
namespace {

template <class Op>
void run_cases(const Vulkan& vulkan, const std::vector<Case<Op>>& list) {
  int ran = 0;
  // Products have hundreds of cases, and a pipeline per format and tile: a driver that compiles for
  // a tenth of a second each would take minutes. Every 7th meets each format, K and N;
  // vulkan_matmul_test has the rest.
  const std::size_t step = list.size() > 200 ? 7 : 1;
  for (std::size_t i = 0; i < list.size(); i += step) ran += Parity<Op>(vulkan, list[i]).run();
  EXPECT_GT(ran, 0) << Op::name << ": every case was refused";
}

// Without a module that reduces through shared memory the second run would be the first again.
bool has_shared_form(const std::string& op) {
  for (const vulkan::Shader* shader : vulkan::shaders()) {
    const std::string_view module = shader->name;
    if (module.starts_with(op + "_") && module.ends_with("shared")) return true;
  }
  return false;
}

#define KEDGE_OP(name, Operator)                                 \
  TEST_P(VulkanParity, Operator) {                               \
    KEDGE_OPEN_VULKAN(vulkan, options());                        \
    if (!options().subgroups && !has_shared_form(#name)) return; \
    run_cases<op::Operator>(vulkan, cases<op::Operator>());      \
  }
#include "kedge/shader_ops.inc"
#undef KEDGE_OP

INSTANTIATE_TEST_SUITE_P(Reductions, VulkanParity, ::testing::Bool(), reduction_name);

}  // namespace
}  // namespace kedge::cases
