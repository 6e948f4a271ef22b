// A device that is lost: the driver's own functions, but for the one that submits, which fails when
// the test says so. Kedge adopts the device, so these are what it calls.
#include <dlfcn.h>
#include <gtest/gtest.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include <cstring>

#include "kedge/graph/plan.hpp"
#include "kedge/kernel/cpu/silu_mul.hpp"
#include "kedge/kernel_vulkan_includes.inc"
#include "parity/vulkan_parity.hpp"

namespace kedge::cases {
namespace {

PFN_vkGetInstanceProcAddr loader = nullptr;
PFN_vkGetDeviceProcAddr device_functions = nullptr;
PFN_vkQueueSubmit submit = nullptr;
bool fails = false;

VKAPI_ATTR VkResult VKAPI_CALL submit_or_fail(VkQueue queue, std::uint32_t count,
                                              const VkSubmitInfo* info, VkFence fence) {
  return fails ? VK_ERROR_DEVICE_LOST : submit(queue, count, info, fence);
}
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL of_device(VkDevice device, const char* name) {
  const PFN_vkVoidFunction function = device_functions(device, name);
  if (std::strcmp(name, "vkQueueSubmit") != 0) return function;
  submit = reinterpret_cast<PFN_vkQueueSubmit>(function);
  return reinterpret_cast<PFN_vkVoidFunction>(submit_or_fail);
}
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL of_instance(VkInstance instance, const char* name) {
  const PFN_vkVoidFunction function = loader(instance, name);
  if (std::strcmp(name, "vkGetDeviceProcAddr") != 0) return function;
  device_functions = reinterpret_cast<PFN_vkGetDeviceProcAddr>(function);
  return reinterpret_cast<PFN_vkVoidFunction>(of_device);
}

// The program's own device, as in examples/06_vulkan_adopt.cpp.
struct Program {
  void* library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
  VkInstance instance = VK_NULL_HANDLE;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  VkPhysicalDeviceVulkan11Features features_11{};
  VkPhysicalDeviceVulkan12Features features_12{};

  template <class Function>
  Function load(const char* name) const {
    return reinterpret_cast<Function>(loader(instance, name));
  }
  Program() {
    if (library == nullptr) return;
    loader = reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr"));
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.apiVersion = VK_API_VERSION_1_2;
    VkInstanceCreateInfo instance_info{};
    instance_info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    instance_info.pApplicationInfo = &application;
    if (load<PFN_vkCreateInstance>("vkCreateInstance")(&instance_info, nullptr, &instance) !=
        VK_SUCCESS) {
      instance = VK_NULL_HANDLE;
      return;
    }
    std::uint32_t count = 1;
    load<PFN_vkEnumeratePhysicalDevices>("vkEnumeratePhysicalDevices")(instance, &count, &physical);
    if (count == 0) return;
    features_12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    features_11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    features_11.pNext = &features_12;
    EXPECT_TRUE(Vulkan::enable_features(&features_11));
    const float priority = 1;
    VkDeviceQueueCreateInfo queue_info{};
    queue_info.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue_info.queueCount = 1;
    queue_info.pQueuePriorities = &priority;
    VkDeviceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = &features_11;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue_info;
    if (load<PFN_vkCreateDevice>("vkCreateDevice")(physical, &info, nullptr, &device) != VK_SUCCESS)
      device = VK_NULL_HANDLE;
    else load<PFN_vkGetDeviceQueue>("vkGetDeviceQueue")(device, 0, 0, &queue);
  }
  Program(const Program&) = delete;
  ~Program() {
    if (device != VK_NULL_HANDLE) {
      load<PFN_vkQueueWaitIdle>("vkQueueWaitIdle")(queue);
      load<PFN_vkDestroyDevice>("vkDestroyDevice")(device, nullptr);
    }
    if (instance != VK_NULL_HANDLE)
      load<PFN_vkDestroyInstance>("vkDestroyInstance")(instance, nullptr);
  }
  Result<Vulkan> adopt() const {
    Vulkan::Host host;
    host.get_instance_proc_addr = reinterpret_cast<void (*)()>(of_instance);
    host.instance = instance;
    host.physical_device = physical;
    host.device = device;
    host.queue = queue;
    host.enabled_features = &features_11;
    return Vulkan::adopt(host, {});
  }
};

TEST(VulkanLost, StaysLostAndIsBegunAnew) {
  const Program program;
  if (program.device == VK_NULL_HANDLE) GTEST_SKIP() << "no Vulkan device";
  fails = false;
  auto vulkan = program.adopt();
  ASSERT_TRUE(vulkan) << text(vulkan.error());
  Workspace w(vulkan_seed);
  const op::SiluMul::Args a{w.random(1, 1, 3, 64), w.random(2, 1, 3, 64),
                            w.make(Element::f32, 3, 64)};
  const Status before = vulkan->run<op::SiluMul>(a, 3);
  ASSERT_TRUE(before) << text(before.error());
  const std::vector<std::byte> expected(a.y.data, a.y.data + a.y.bytes());
  Graph graph(4, 1, Graph::Activations::floats);
  auto gate = graph.external(Element::f32, 64), up = graph.external(Element::f32, 64),
       y = graph.external(Element::f32, 64);
  ASSERT_TRUE(gate && up && y);
  ASSERT_TRUE(graph.add<op::SiluMul>({*gate, *up, *y}));
  const std::shared_ptr<Accelerator> device = vulkan->accelerator();
  auto plan = Plan::compile(graph, *device);
  ASSERT_TRUE(plan) << text(plan.error());
  ASSERT_TRUE(plan->run(3, 0));

  fails = true;
  Status status = plan->run(3, 0);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::device) << text(status.error());
  EXPECT_NE(std::strstr(status.error().reason, "LOST"), nullptr) << status.error().reason;
  EXPECT_TRUE(vulkan->lost());
  fails = false;  // it stays so
  for (int i = 0; i < 2; ++i) {
    status = plan->run(3, 0);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::device);
    EXPECT_NE(std::strstr(status.error().reason, "lost"), nullptr) << status.error().reason;
  }
  EXPECT_FALSE(vulkan->run<op::SiluMul>(a, 3));
  EXPECT_FALSE(vulkan->buffer(100, "test"));
  EXPECT_FALSE(Plan::compile(graph, *device));

  // A new one on a device that works goes on, beside what is left of the old one.
  auto again = program.adopt();
  ASSERT_TRUE(again) << text(again.error());
  std::memset(a.y.data, 0, a.y.bytes());
  ASSERT_TRUE(again->run<op::SiluMul>(a, 3));
  EXPECT_EQ(std::memcmp(a.y.data, expected.data(), expected.size()), 0);
}

}  // namespace
}  // namespace kedge::cases
