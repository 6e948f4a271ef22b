#include "device.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace kedge::inline KEDGE_ABI::vulkan {

Device::Device() noexcept {
  for (unsigned i = 0; i < 4; ++i) regions_[i] = {this, static_cast<DeviceMemory>(i)};
}

Unexpected Device::refuse(const char* call, VkResult result) noexcept {
  if (result == VK_ERROR_DEVICE_LOST) lost_ = true;
  return refused(info.name, call, result);
}

Status Device::usable() const noexcept {
  if (lost_)
    return fail(Code::device, info.name, "the device was lost earlier; create a new Vulkan object");
  return {};
}

Status Device::load() noexcept {
#define KEDGE_VK_LOAD(function)                                                                 \
  function =                                                                                    \
      reinterpret_cast<PFN_vk##function>(instance_->GetDeviceProcAddr(handle, "vk" #function)); \
  if (function == nullptr)                                                                      \
    return fail(Code::unsupported, info.name, "the driver has no vk" #function);
  KEDGE_VK_DEVICE_FUNCTIONS(KEDGE_VK_LOAD)
#undef KEDGE_VK_LOAD
  return {};
}

void Device::learn_limits(const Vulkan::Options& options) noexcept {
  VkPhysicalDeviceDriverProperties driver{};
  driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
  VkPhysicalDeviceSubgroupProperties subgroup{};
  subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
  subgroup.pNext = &driver;
  VkPhysicalDeviceMaintenance3Properties allocation{};
  allocation.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
  allocation.pNext = &subgroup;
  VkPhysicalDeviceProperties2 properties{};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  properties.pNext = &allocation;
  instance_->GetPhysicalDeviceProperties2(physical_, &properties);

  const VkPhysicalDeviceLimits& device = properties.properties.limits;
  limits.max_groups =
      std::min({device.maxComputeWorkGroupCount[0], device.maxComputeWorkGroupCount[1],
                device.maxComputeWorkGroupCount[2]});
  limits.max_binding_bytes = device.maxStorageBufferRange;
  if (options.max_binding_bytes != 0)
    limits.max_binding_bytes = std::min(limits.max_binding_bytes, options.max_binding_bytes);
  limits.binding_alignment = std::max<std::uint32_t>(
      4, static_cast<std::uint32_t>(device.minStorageBufferOffsetAlignment));
  limits.subgroup_size = subgroup.subgroupSize;
  limits.subgroup_shuffle = options.subgroups && subgroup.subgroupSize > 1 &&
                            (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
                            (subgroup.supportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT) != 0;
  // Eight lanes are a software device, which has no memory pipeline to feed (shaders/matmul). Its
  // kernel passes values round the eight lanes of a subgroup.
  limits.output_lanes = options.output_lanes && limits.subgroup_size == 8;
  // Mesa's software device cuts loops without a word; 25 is the first version seen that does not.
  if (driver.driverID == VK_DRIVER_ID_MESA_LLVMPIPE) {
    int mesa = 0;
    if (std::sscanf(driver.driverInfo, "Mesa %d", &mesa) != 1 || mesa < 25) limits.max_loop = 65535;
  }
  max_allocation_ = allocation.maxMemoryAllocationSize;
  direct_memory_ = options.direct_memory;
  submission_ms = options.submission_ms;
  executor_ = options.executor;
  // Orders of magnitude that only decide where a pass is cut into submissions: loop iterations of
  // shaders that a software device, a small and a large GPU do in a millisecond.
  iterations_per_ms = info.type == DeviceType::cpu        ? 2e6
                      : info.type == DeviceType::discrete ? 1e8
                                                          : 1e7;
  instance_->GetPhysicalDeviceMemoryProperties(physical_, &memory_);
}

Result<std::shared_ptr<Device>> Device::create(std::shared_ptr<Instance> instance,
                                               VkPhysicalDevice physical, const DeviceInfo& info,
                                               const Vulkan::Options& options) {
  auto self = std::make_shared<Device>();
  self->instance_ = std::move(instance);
  self->physical_ = physical;
  self->info = info;
  self->learn_limits(options);

  const Instance& vk = *self->instance_;
  std::uint32_t count = 0;
  vk.GetPhysicalDeviceQueueFamilyProperties(physical, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vk.GetPhysicalDeviceQueueFamilyProperties(physical, &count, families.data());
  while (self->family_ < count && !(families[self->family_].queueFlags & VK_QUEUE_COMPUTE_BIT))
    ++self->family_;
  if (self->family_ == count)
    return fail(Code::unsupported, info.name, "no queue of %u families computes", count);

  std::uint32_t extensions = 0;
  vk.EnumerateDeviceExtensionProperties(physical, nullptr, &extensions, nullptr);
  std::vector<VkExtensionProperties> offered(extensions);
  vk.EnumerateDeviceExtensionProperties(physical, nullptr, &extensions, offered.data());
  for (const VkExtensionProperties& e : offered)
    if (std::strcmp(e.extensionName, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME) == 0)
      self->has_budget_ = true;

  Features features;
  features.require();
  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue{};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueFamilyIndex = self->family_;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo create{};
  create.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  create.pNext = &features.head;
  create.queueCreateInfoCount = 1;
  create.pQueueCreateInfos = &queue;
  VkResult result = vk.CreateDevice(physical, &create, nullptr, &self->handle);
  if (result != VK_SUCCESS) {
    self->handle = VK_NULL_HANDLE;
    return self->refuse("vkCreateDevice", result);
  }
  KEDGE_CHECK(self->load());
  self->GetDeviceQueue(self->handle, self->family_, 0, &self->queue_);
  KEDGE_CHECK(self->make_objects());
  KEDGE_CHECK(self->open_cache(options.pipeline_cache));
  return self;
}

Result<std::shared_ptr<Device>> Device::adopt(std::shared_ptr<Instance> instance,
                                              const Vulkan::Host& host, const DeviceInfo& info,
                                              const Vulkan::Options& options) {
  auto self = std::make_shared<Device>();
  self->instance_ = std::move(instance);
  self->adopted_ = true;
  self->host_ = host;
  self->physical_ = static_cast<VkPhysicalDevice>(host.physical_device);
  self->info = info;
  self->learn_limits(options);
  self->family_ = host.queue_family;
  self->handle = static_cast<VkDevice>(host.device);
  self->queue_ = static_cast<VkQueue>(host.queue);
  KEDGE_CHECK(self->load());
  KEDGE_CHECK(self->make_objects());
  KEDGE_CHECK(self->open_cache(options.pipeline_cache));
  return self;
}

// What is Kedge's own on any device.
Status Device::make_objects() noexcept {
  VkResult result = VK_SUCCESS;
  VkCommandPoolCreateInfo pool{};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.queueFamilyIndex = family_;
  result = CreateCommandPool(handle, &pool, nullptr, &pool_);
  if (result != VK_SUCCESS) return refuse("vkCreateCommandPool", result);
  VkCommandBufferAllocateInfo commands{};
  commands.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  commands.commandPool = pool_;
  commands.commandBufferCount = 1;
  result = AllocateCommandBuffers(handle, &commands, &commands_);
  if (result != VK_SUCCESS) return refuse("vkAllocateCommandBuffers", result);

  VkSemaphoreTypeCreateInfo timeline{};
  timeline.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
  timeline.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo semaphore{};
  semaphore.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
  semaphore.pNext = &timeline;
  result = CreateSemaphore(handle, &semaphore, nullptr, &timeline_);
  if (result != VK_SUCCESS) return refuse("vkCreateSemaphore", result);

  absent.reset(new (std::nothrow) Memory);
  if (absent == nullptr)
    return fail(Code::out_of_memory, info.name, "host memory for bookkeeping is exhausted");
  return allocate(256, "buffer for absent arguments", Place::device, *absent);
}

void Device::wait_idle() noexcept {
  const QueueLock lock(*this);
  QueueWaitIdle(queue_);
}

Device::~Device() {
  if (handle == VK_NULL_HANDLE) return;
  if (adopted_ && DestroyDevice == nullptr) return;
  if (DestroyDevice == nullptr) {  // the table was not loaded, so nothing else was made
    const auto destroy = reinterpret_cast<PFN_vkDestroyDevice>(
        instance_->GetDeviceProcAddr(handle, "vkDestroyDevice"));
    if (destroy != nullptr) destroy(handle, nullptr);
    return;
  }
  // Before the semaphore: a driver's queue thread may still be inside it after the host saw its
  // value (Mesa's software device hangs otherwise).
  if (QueueWaitIdle != nullptr && queue_ != VK_NULL_HANDLE) wait_idle();
  staging_.reset();
  absent.reset();
  for (const auto& [key, p] : pipelines_) DestroyPipeline(handle, p.pipeline, nullptr);
  if (cache_ != VK_NULL_HANDLE) DestroyPipelineCache(handle, cache_, nullptr);
  for (const auto& [key, l] : layouts_) {
    DestroyPipelineLayout(handle, l.layout, nullptr);
    DestroyDescriptorSetLayout(handle, l.set, nullptr);
  }
  if (timeline_ != VK_NULL_HANDLE) DestroySemaphore(handle, timeline_, nullptr);
  if (pool_ != VK_NULL_HANDLE) DestroyCommandPool(handle, pool_, nullptr);
  if (!adopted_) DestroyDevice(handle, nullptr);
}

Result<VkCommandBuffer> Device::begin() noexcept {
  KEDGE_CHECK(usable());
  VkResult result = ResetCommandPool(handle, pool_, 0);
  if (result != VK_SUCCESS) return refuse("vkResetCommandPool", result);
  VkCommandBufferBeginInfo info_begin{};
  info_begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  info_begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  result = BeginCommandBuffer(commands_, &info_begin);
  if (result != VK_SUCCESS) return refuse("vkBeginCommandBuffer", result);
  return commands_;
}

Result<std::uint64_t> Device::submit(std::span<const VkCommandBuffer> commands) noexcept {
  KEDGE_CHECK(usable());
  const std::uint64_t value = submitted_ + 1;
  VkTimelineSemaphoreSubmitInfo timeline{};
  timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
  timeline.signalSemaphoreValueCount = 1;
  timeline.pSignalSemaphoreValues = &value;
  VkSubmitInfo submit{};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  submit.pNext = &timeline;
  submit.commandBufferCount = static_cast<std::uint32_t>(commands.size());
  submit.pCommandBuffers = commands.data();
  submit.signalSemaphoreCount = 1;
  submit.pSignalSemaphores = &timeline_;
  const VkResult result = [&] {
    const QueueLock lock(*this);
    return QueueSubmit(queue_, 1, &submit, VK_NULL_HANDLE);
  }();
  if (result != VK_SUCCESS) return refuse("vkQueueSubmit", result);
  submitted_ = value;
  return value;
}

Status Device::wait(std::uint64_t value) noexcept {
  VkSemaphoreWaitInfo wait{};
  wait.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
  wait.semaphoreCount = 1;
  wait.pSemaphores = &timeline_;
  wait.pValues = &value;
  const VkResult result = WaitSemaphores(handle, &wait, UINT64_MAX);
  if (result != VK_SUCCESS) return refuse("vkWaitSemaphores", result);
  return {};
}

Result<bool> Device::poll(std::uint64_t value) noexcept {
  std::uint64_t reached = 0;
  const VkResult result = GetSemaphoreCounterValue(handle, timeline_, &reached);
  if (result != VK_SUCCESS) return refuse("vkGetSemaphoreCounterValue", result);
  return reached >= value;
}

Status Device::submit_and_wait(VkCommandBuffer commands) noexcept {
  const VkResult result = EndCommandBuffer(commands);
  if (result != VK_SUCCESS) return refuse("vkEndCommandBuffer", result);
  KEDGE_TRY(const std::uint64_t value, submit({&commands, 1}));
  const Status waited = wait(value);
  // The work may still run and use what the caller is about to free.
  if (!waited) wait_idle();
  return waited;
}

void Device::barrier(VkCommandBuffer commands) noexcept {
  VkMemoryBarrier memory{};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  memory.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  memory.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                         VK_ACCESS_HOST_READ_BIT;
  CmdPipelineBarrier(commands,
                     VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                     VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT |
                         VK_PIPELINE_STAGE_HOST_BIT,
                     0, 1, &memory, 0, nullptr, 0, nullptr);
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
