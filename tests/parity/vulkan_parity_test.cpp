// Every operator with a shader over its cases. A case that Vulkan has no kernel for must be
// refused.
#include "parity/vulkan_parity.hpp"

#include <cstdlib>

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

// The validation layer's checks of calls, of races and of what shaders touch have nothing to say of
// any operator: a few cases of each, each tensor in a buffer of its exact size. An instrumented
// shader of a product takes a software device's compiler four seconds, so that of the large ones
// there is one case unless KEDGE_TEST_EVERY_CASE is set (scripts/verify vulkan).
struct Watched {
  std::string messages;
  std::optional<Vulkan> vulkan;
  std::string why;

  explicit Watched(bool subgroups) {
    Vulkan::Options options;
    options.subgroups = subgroups;
    options.validate_accesses = true;
    options.validation_context = &messages;
    options.validation = [](void* context, const char* message) noexcept {
      static_cast<std::string*>(context)->append(message).append("\n");
    };
    vulkan = open_vulkan(options, why);
  }
  static Watched& of(bool subgroups) {
    static Watched all[2] = {Watched(false), Watched(true)};
    return all[subgroups];
  }
};

class VulkanValidated : public VulkanParity {};

template <class Op>
void run_watched(Watched& watched, const std::vector<Case<Op>>& list) {
  int ran = 0;
  const std::string_view op = Op::name;
  const bool large = op == "matmul" || op == "gated_delta" || op.ends_with("attention") ||
                     op == "conv_state" || op == "row_lookup";
  const bool one = large && std::getenv("KEDGE_TEST_EVERY_CASE") == nullptr;
  const std::size_t step = one                 ? list.size()
                           : list.size() > 200 ? list.size() / 14
                                               : (list.size() + 7) / 8;
  for (std::size_t i = 0; i < list.size(); i += step)
    ran += Parity<Op>(*watched.vulkan, list[i]).run_briefly();
  EXPECT_GT(ran, 0) << Op::name << ": every case was refused";
  EXPECT_EQ(watched.messages, "");
  watched.messages.clear();
}

#define KEDGE_OP(name, Operator)                                 \
  TEST_P(VulkanValidated, Operator) {                            \
    Watched& watched = Watched::of(options().subgroups);         \
    if (!watched.vulkan) GTEST_SKIP() << watched.why;            \
    if (!options().subgroups && !has_shared_form(#name)) return; \
    run_watched<op::Operator>(watched, cases<op::Operator>());   \
  }
#include "kedge/shader_ops.inc"
#undef KEDGE_OP

INSTANTIATE_TEST_SUITE_P(Reductions, VulkanValidated, ::testing::Bool(), reduction_name);
INSTANTIATE_TEST_SUITE_P(Reductions, VulkanParity, ::testing::Bool(), reduction_name);

}  // namespace
}  // namespace kedge::cases
