// Instance: the opened loader, the VkInstance and, when asked for, the validation layer's messages.
#pragma once

#include <memory>
#include <vector>

#include "error.hpp"
#include "kedge/backend/vulkan.hpp"
#include "kedge/core/os/library.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

class Instance {
 public:
  static Result<std::shared_ptr<Instance>> create(const Vulkan::Options& options);
  // The host's, which stays the host's.
  static Result<std::shared_ptr<Instance>> adopt(PFN_vkGetInstanceProcAddr get,
                                                 VkInstance instance);
  Instance() = default;
  Instance(const Instance&) = delete;
  ~Instance();

  Result<std::vector<VkPhysicalDevice>> physical_devices() const;
  // Fills everything but index; `missing` says why Kedge cannot use the device.
  DeviceInfo describe(VkPhysicalDevice device) const noexcept;

  KEDGE_VK_GLOBAL_FUNCTIONS(KEDGE_VK_MEMBER)
  KEDGE_VK_INSTANCE_FUNCTIONS(KEDGE_VK_MEMBER)

  void (*validation)(void*, const char*) noexcept = nullptr;
  void* validation_context = nullptr;

 private:
  Status load(PFN_vkGetInstanceProcAddr get) noexcept;
  Status watch(PFN_vkGetInstanceProcAddr get,
               const VkDebugUtilsMessengerCreateInfoEXT& info) noexcept;

  bool adopted_ = false;
  os::Library library_;  // closed last
  VkInstance instance_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  PFN_vkDestroyDebugUtilsMessengerEXT destroy_messenger_ = nullptr;
};

// The features that Kedge needs, as a chain for asking and for creating.
struct Features {
  VkPhysicalDeviceFeatures2 head{};
  VkPhysicalDeviceVulkan11Features core_1_1{};
  VkPhysicalDeviceVulkan12Features core_1_2{};
  Features() noexcept;
  Features(const Features&) = delete;
  // The first one that a device lacks, or null.
  const char* missing() const noexcept;
  void require() noexcept;
};

}  // namespace kedge::inline KEDGE_ABI::vulkan
