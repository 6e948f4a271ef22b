#include "instance.hpp"

#include <cstdio>
#include <cstring>

namespace kedge::inline KEDGE_ABI::vulkan {

const char* to_string(VkResult result) noexcept {
  switch (result) {
#define KEDGE_VK_RESULT(name) \
  case name:                  \
    return #name;
    KEDGE_VK_RESULT(VK_SUCCESS)
    KEDGE_VK_RESULT(VK_NOT_READY)
    KEDGE_VK_RESULT(VK_TIMEOUT)
    KEDGE_VK_RESULT(VK_INCOMPLETE)
    KEDGE_VK_RESULT(VK_ERROR_OUT_OF_HOST_MEMORY)
    KEDGE_VK_RESULT(VK_ERROR_OUT_OF_DEVICE_MEMORY)
    KEDGE_VK_RESULT(VK_ERROR_INITIALIZATION_FAILED)
    KEDGE_VK_RESULT(VK_ERROR_DEVICE_LOST)
    KEDGE_VK_RESULT(VK_ERROR_MEMORY_MAP_FAILED)
    KEDGE_VK_RESULT(VK_ERROR_LAYER_NOT_PRESENT)
    KEDGE_VK_RESULT(VK_ERROR_EXTENSION_NOT_PRESENT)
    KEDGE_VK_RESULT(VK_ERROR_FEATURE_NOT_PRESENT)
    KEDGE_VK_RESULT(VK_ERROR_INCOMPATIBLE_DRIVER)
    KEDGE_VK_RESULT(VK_ERROR_TOO_MANY_OBJECTS)
    KEDGE_VK_RESULT(VK_ERROR_FRAGMENTED_POOL)
    KEDGE_VK_RESULT(VK_ERROR_UNKNOWN)
    KEDGE_VK_RESULT(VK_ERROR_OUT_OF_POOL_MEMORY)
    KEDGE_VK_RESULT(VK_ERROR_INVALID_SHADER_NV)
#undef KEDGE_VK_RESULT
    default:
      return "VkResult";
  }
}

Features::Features() noexcept {
  head.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  core_1_1.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  core_1_2.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  head.pNext = &core_1_1;
  core_1_1.pNext = &core_1_2;
}

const char* Features::missing() const noexcept {
  if (!core_1_1.storageBuffer16BitAccess) return "storageBuffer16BitAccess";
  if (!core_1_2.storageBuffer8BitAccess) return "storageBuffer8BitAccess";
  if (!core_1_2.timelineSemaphore) return "timelineSemaphore";
  return nullptr;
}

void Features::require() noexcept {
  core_1_1.storageBuffer16BitAccess = VK_TRUE;
  core_1_2.storageBuffer8BitAccess = VK_TRUE;
  core_1_2.timelineSemaphore = VK_TRUE;
}

namespace {

constexpr const char* layer_name = "VK_LAYER_KHRONOS_validation";

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                          VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data,
                                          void* user) {
  const auto* instance = static_cast<const Instance*>(user);
  instance->validation(instance->validation_context, data->pMessage);
  return VK_FALSE;
}

}  // namespace

Status Instance::load(PFN_vkGetInstanceProcAddr get) noexcept {
#define KEDGE_VK_LOAD(function)                                                  \
  function = reinterpret_cast<PFN_vk##function>(get(instance_, "vk" #function)); \
  if (function == nullptr)                                                       \
    return fail(Code::unsupported, "Vulkan loader", "it has no vk" #function);
  if (instance_ == VK_NULL_HANDLE) {
    KEDGE_VK_GLOBAL_FUNCTIONS(KEDGE_VK_LOAD)
    return {};
  }
  KEDGE_VK_INSTANCE_FUNCTIONS(KEDGE_VK_LOAD)
#undef KEDGE_VK_LOAD
  return {};
}

Status Instance::watch(PFN_vkGetInstanceProcAddr get,
                       const VkDebugUtilsMessengerCreateInfoEXT& info) noexcept {
  const auto create = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
      get(instance_, "vkCreateDebugUtilsMessengerEXT"));
  destroy_messenger_ = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
      get(instance_, "vkDestroyDebugUtilsMessengerEXT"));
  if (create == nullptr || destroy_messenger_ == nullptr)
    return fail(Code::unsupported, layer_name, "VK_EXT_debug_utils is not there");
  const VkResult result = create(instance_, &info, nullptr, &messenger_);
  if (result != VK_SUCCESS) return refused(layer_name, "vkCreateDebugUtilsMessengerEXT", result);
  return {};
}

Result<std::shared_ptr<Instance>> Instance::create(const Vulkan::Options& options) {
  auto self = std::make_shared<Instance>();
  KEDGE_TRY(self->library_, os::Library::open(options.loader));
  const auto get = self->library_.symbol<PFN_vkGetInstanceProcAddr>("vkGetInstanceProcAddr");
  if (get == nullptr)
    return fail(Code::not_found, options.loader, "no vkGetInstanceProcAddr: not a Vulkan loader");
  KEDGE_CHECK(self->load(get));

  self->validation = options.validation;
  self->validation_context = options.validation_context;
  VkDebugUtilsMessengerCreateInfoEXT messages{};
  messages.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
  messages.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                             VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  messages.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                         VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
  messages.pfnUserCallback = on_message;
  messages.pUserData = self.get();
  // Core checks, the layer's check of races between commands, and perhaps of what shaders touch.
  const VkValidationFeatureEnableEXT enable[] = {
      VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT,
      VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT,
      VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_RESERVE_BINDING_SLOT_EXT};
  VkValidationFeaturesEXT validation{};
  validation.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
  validation.enabledValidationFeatureCount = options.validate_accesses ? 3 : 1;
  validation.pEnabledValidationFeatures = enable;
  validation.pNext = &messages;

  VkApplicationInfo application{};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.pEngineName = "kedge";
  application.apiVersion = VK_API_VERSION_1_2;
  VkInstanceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pApplicationInfo = &application;
  const char* layers[] = {layer_name};
  const char* extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
  if (options.validation != nullptr) {
    info.pNext = &validation;
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = layers;
    info.enabledExtensionCount = 1;
    info.ppEnabledExtensionNames = extensions;
  }
  const VkResult result = self->CreateInstance(&info, nullptr, &self->instance_);
  if (result == VK_ERROR_LAYER_NOT_PRESENT)
    return fail(Code::not_found, layer_name, "the layer is not installed");
  if (result != VK_SUCCESS) {
    self->instance_ = VK_NULL_HANDLE;
    // The loader's answer when no driver is installed at all.
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
      return fail(Code::not_found, options.loader, "no Vulkan driver is installed");
    return refused(options.loader, "vkCreateInstance", result);
  }
  KEDGE_CHECK(self->load(get));
  if (options.validation != nullptr) KEDGE_CHECK(self->watch(get, messages));
  return self;
}

Result<std::shared_ptr<Instance>> Instance::adopt(PFN_vkGetInstanceProcAddr get,
                                                  VkInstance instance) {
  auto self = std::make_shared<Instance>();
  self->adopted_ = true;
  self->instance_ = instance;
  KEDGE_CHECK(self->load(get));
  return self;
}

Instance::~Instance() {
  if (adopted_) return;
  if (messenger_ != VK_NULL_HANDLE) destroy_messenger_(instance_, messenger_, nullptr);
  if (instance_ != VK_NULL_HANDLE && DestroyInstance != nullptr)
    DestroyInstance(instance_, nullptr);
}

Result<std::vector<VkPhysicalDevice>> Instance::physical_devices() const {
  std::uint32_t count = 0;
  VkResult result = EnumeratePhysicalDevices(instance_, &count, nullptr);
  std::vector<VkPhysicalDevice> devices(count);
  if (result == VK_SUCCESS && count != 0)
    result = EnumeratePhysicalDevices(instance_, &count, devices.data());
  if (result != VK_SUCCESS && result != VK_INCOMPLETE)
    return refused("Vulkan", "vkEnumeratePhysicalDevices", result);
  devices.resize(count);
  return devices;
}

DeviceInfo Instance::describe(VkPhysicalDevice device) const noexcept {
  DeviceInfo info;
  VkPhysicalDeviceDriverProperties driver{};
  driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
  VkPhysicalDeviceProperties2 properties{};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  GetPhysicalDeviceProperties2(device, &properties);
  const VkPhysicalDeviceProperties& basic = properties.properties;
  info.api_major = VK_API_VERSION_MAJOR(basic.apiVersion);
  info.api_minor = VK_API_VERSION_MINOR(basic.apiVersion);
  std::snprintf(info.name, sizeof info.name, "%s", basic.deviceName);
  switch (basic.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      info.type = DeviceType::discrete;
      break;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      info.type = DeviceType::integrated;
      break;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      info.type = DeviceType::virtual_gpu;
      break;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      info.type = DeviceType::cpu;
      break;
    default:
      info.type = DeviceType::other;
      break;
  }
  VkPhysicalDeviceMemoryProperties memory{};
  GetPhysicalDeviceMemoryProperties(device, &memory);
  for (std::uint32_t i = 0; i < memory.memoryHeapCount; ++i)
    if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
        memory.memoryHeaps[i].size > info.local_bytes)
      info.local_bytes = memory.memoryHeaps[i].size;

  if (basic.apiVersion < VK_API_VERSION_1_2) {
    std::snprintf(info.missing, sizeof info.missing, "Vulkan 1.2, it has %u.%u", info.api_major,
                  info.api_minor);
    return info;
  }
  properties.pNext = &driver;  // a structure of 1.2
  GetPhysicalDeviceProperties2(device, &properties);
  std::snprintf(info.driver, sizeof info.driver, "%.120s %.120s", driver.driverName,
                driver.driverInfo);
  Features features;
  GetPhysicalDeviceFeatures2(device, &features.head);
  if (const char* missing = features.missing())
    std::snprintf(info.missing, sizeof info.missing, "%s", missing);
  return info;
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
