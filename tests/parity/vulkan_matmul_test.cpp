// Products with F32 activations against sums in double over the decoded weights.
#include "kedge/kernel/ref/matmul.hpp"
#include "kedge/kernel/vulkan/matmul.hpp"
#include "parity/vulkan_parity.hpp"
#include "parity/vulkan_products.hpp"

namespace kedge::cases {
namespace {

TEST_P(VulkanParity, ProductsWithF32Activations) {
  KEDGE_OPEN_VULKAN(vulkan, options());
  for (const auto& item : products_with_f32())
    EXPECT_TRUE(Parity<op::Matmul>(vulkan, item).run()) << item.name << " was refused";
}

INSTANTIATE_TEST_SUITE_P(Reductions, VulkanParity, ::testing::Bool(), reduction_name);

}  // namespace
}  // namespace kedge::cases
