// Products with F32 activations against sums in double over the decoded weights.
#include "kedge/kernel/ref/matmul.hpp"
#include "kedge/kernel/vulkan/matmul.hpp"
#include "parity/vulkan_parity.hpp"
#include "parity/vulkan_products.hpp"

namespace kedge::cases {
namespace {

void run_products(const Vulkan& vulkan, const std::vector<Case<op::Matmul>>& list) {
  for (const auto& item : list)
    EXPECT_TRUE(Parity<op::Matmul>(vulkan, item).run()) << item.name << " was refused";
}

TEST_P(VulkanParity, ProductsByFormat) {
  KEDGE_OPEN_VULKAN(vulkan, options());
  run_products(vulkan, products_by_format());
}

TEST_P(VulkanParity, ProductsByShape) {
  KEDGE_OPEN_VULKAN(vulkan, options());
  run_products(vulkan, products_by_shape());
}

// What devices with wide subgroups run.
TEST_P(VulkanParity, ProductsWhoseLanesShareAnOutput) {
  Vulkan::Options shared = options();
  shared.output_lanes = false;
  KEDGE_OPEN_VULKAN(vulkan, shared);
  run_products(vulkan, {product(Element::q4_0, 37, 2048), product(Element::q4_0, 70, 96, Add::bias),
                        product(Element::f16, 5, 131, Add::residual)});
}

INSTANTIATE_TEST_SUITE_P(Reductions, VulkanParity, ::testing::Bool(), reduction_name);

}  // namespace
}  // namespace kedge::cases
