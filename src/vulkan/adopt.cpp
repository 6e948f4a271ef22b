// A host's own instance, device and queue: what it must have turned on, and taking it in.
#include <cstdio>

#include "device.hpp"

namespace kedge::inline KEDGE_ABI {

namespace vulkan {

namespace {

constexpr const char* feature_names[] = {"storageBuffer16BitAccess", "storageBuffer8BitAccess",
                                         "timelineSemaphore"};

// Structures of a chain begin alike.
template <class Structure>
Structure* find(void* chain, VkStructureType type) noexcept {
  for (auto* at = static_cast<VkBaseOutStructure*>(chain); at != nullptr; at = at->pNext)
    if (at->sType == type) return reinterpret_cast<Structure*>(at);
  return nullptr;
}

// Where a chain says each of feature_names; null where it has no structure for it.
struct Switches {
  VkBool32* at[3] = {};
  static constexpr const char* structures[] = {
      "VkPhysicalDeviceVulkan11Features (or VkPhysicalDevice16BitStorageFeatures)",
      "VkPhysicalDeviceVulkan12Features (or VkPhysicalDevice8BitStorageFeatures)",
      "VkPhysicalDeviceVulkan12Features (or VkPhysicalDeviceTimelineSemaphoreFeatures)"};

  explicit Switches(void* chain) noexcept {
    if (auto* f = find<VkPhysicalDeviceVulkan11Features>(
            chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES))
      at[0] = &f->storageBuffer16BitAccess;
    if (auto* f = find<VkPhysicalDeviceVulkan12Features>(
            chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES)) {
      at[1] = &f->storageBuffer8BitAccess;
      at[2] = &f->timelineSemaphore;
    }
    if (auto* f = find<VkPhysicalDevice16BitStorageFeatures>(
            chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES))
      at[0] = &f->storageBuffer16BitAccess;
    if (auto* f = find<VkPhysicalDevice8BitStorageFeatures>(
            chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES))
      at[1] = &f->storageBuffer8BitAccess;
    if (auto* f = find<VkPhysicalDeviceTimelineSemaphoreFeatures>(
            chain, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES))
      at[2] = &f->timelineSemaphore;
  }
};

Status expect_handles(void (*get)(), const void* instance, const void* physical) noexcept {
  if (get != nullptr && instance != nullptr && physical != nullptr) return {};
  return fail(Code::invalid_argument, "Vulkan host",
              "expected get_instance_proc_addr, an instance and a physical device, found %s null",
              get == nullptr        ? "the first"
              : instance == nullptr ? "the second"
                                    : "the third");
}

}  // namespace

}  // namespace vulkan

Result<Vulkan::Requirements> Vulkan::requirements(void (*get)(), void* instance,
                                                  void* physical_device) noexcept {
  KEDGE_CHECK(vulkan::expect_handles(get, instance, physical_device));
  return vulkan::guarded("Vulkan host", [&]() -> Result<Requirements> {
    KEDGE_TRY(const auto adopted,
              vulkan::Instance::adopt(reinterpret_cast<PFN_vkGetInstanceProcAddr>(get),
                                      static_cast<VkInstance>(instance)));
    Requirements needs;
    needs.features = vulkan::feature_names;
    const vulkan::DeviceInfo info =
        adopted->describe(static_cast<VkPhysicalDevice>(physical_device));
    std::snprintf(needs.missing, sizeof needs.missing, "%s", info.missing);
    return needs;
  });
}

Status Vulkan::enable_features(void* chain) noexcept {
  const vulkan::Switches switches(chain);
  for (std::size_t i = 0; i < 3; ++i)
    if (switches.at[i] == nullptr)
      return fail(Code::invalid_argument, vulkan::feature_names[i],
                  "the chain of features has no %s", vulkan::Switches::structures[i]);
  for (VkBool32* const feature : switches.at) *feature = VK_TRUE;
  return {};
}

Result<Vulkan> Vulkan::adopt(const Host& host, const Options& options) noexcept {
  KEDGE_CHECK(
      vulkan::expect_handles(host.get_instance_proc_addr, host.instance, host.physical_device));
  if (host.device == nullptr || host.queue == nullptr)
    return fail(Code::invalid_argument, "Vulkan host", "expected a device and a queue, found null");
  if ((host.lock_queue == nullptr) != (host.unlock_queue == nullptr))
    return fail(Code::invalid_argument, "Vulkan host",
                "expected lock_queue and unlock_queue, found one of them");
  const vulkan::Switches switches(const_cast<void*>(host.enabled_features));
  for (std::size_t i = 0; i < 3; ++i)
    if (switches.at[i] == nullptr || *switches.at[i] != VK_TRUE)
      return fail(Code::unsupported, vulkan::feature_names[i],
                  "the host's device was not created with it; see Vulkan::enable_features()");
  return vulkan::guarded("Vulkan host", [&]() -> Result<Vulkan> {
    KEDGE_TRY(const auto instance,
              vulkan::Instance::adopt(
                  reinterpret_cast<PFN_vkGetInstanceProcAddr>(host.get_instance_proc_addr),
                  static_cast<VkInstance>(host.instance)));
    const auto physical = static_cast<VkPhysicalDevice>(host.physical_device);
    const vulkan::DeviceInfo info = instance->describe(physical);
    if (info.missing[0] != '\0')
      return fail(Code::unsupported, info.name, "the device lacks what Kedge needs: %s",
                  info.missing);
    std::uint32_t count = 0;
    instance->GetPhysicalDeviceQueueFamilyProperties(physical, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    instance->GetPhysicalDeviceQueueFamilyProperties(physical, &count, families.data());
    if (host.queue_family >= count ||
        !(families[host.queue_family].queueFlags & VK_QUEUE_COMPUTE_BIT))
      return fail(Code::invalid_argument, info.name,
                  "queue_family: expected one of %u that computes, found %u", count,
                  host.queue_family);
    Vulkan vulkan;
    KEDGE_TRY(vulkan.device_, vulkan::Device::adopt(instance, host, info, options));
    return vulkan;
  });
}

}  // namespace kedge::inline KEDGE_ABI
