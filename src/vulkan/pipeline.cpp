// Pipelines by (module, bindings, push constants, specialization constants).
#include <algorithm>
#include <cstring>

#include "collector.hpp"
#include "device.hpp"
#include "kedge/core/hash.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

Result<Device::Layout> Device::layout(std::uint32_t bindings, std::uint32_t push_bytes) {
  const auto found = layouts_.find({bindings, push_bytes});
  if (found != layouts_.end()) return found->second;

  VkDescriptorSetLayoutBinding slots[Dispatch::max_bindings] = {};
  for (std::uint32_t i = 0; i < bindings; ++i) {
    slots[i].binding = i;
    slots[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    slots[i].descriptorCount = 1;
    slots[i].stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  }
  VkDescriptorSetLayoutCreateInfo set{};
  set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
  set.bindingCount = bindings;
  set.pBindings = slots;
  // The entry first, so that what exists is destroyed even if a later step fails.
  Layout& made = layouts_[{bindings, push_bytes}];
  VkResult result = CreateDescriptorSetLayout(handle, &set, nullptr, &made.set);
  if (result == VK_SUCCESS) {
    VkPushConstantRange push{};
    push.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
    push.size = push_bytes;
    VkPipelineLayoutCreateInfo create{};
    create.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    create.setLayoutCount = 1;
    create.pSetLayouts = &made.set;
    create.pushConstantRangeCount = push_bytes == 0 ? 0 : 1;
    create.pPushConstantRanges = &push;
    result = CreatePipelineLayout(handle, &create, nullptr, &made.layout);
    if (result != VK_SUCCESS) DestroyDescriptorSetLayout(handle, made.set, nullptr);
  }
  if (result != VK_SUCCESS) {
    layouts_.erase({bindings, push_bytes});
    return refuse("layout of a pipeline", result);
  }
  return made;
}

VkResult Device::compile(const Dispatch& d, VkPipelineLayout layout,
                         VkPipeline& pipeline) const noexcept {
  VkShaderModuleCreateInfo module_info{};
  module_info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  module_info.codeSize = d.shader->count * 4;
  module_info.pCode = d.shader->words;
  VkShaderModule module = VK_NULL_HANDLE;
  VkResult result = CreateShaderModule(handle, &module_info, nullptr, &module);
  if (result != VK_SUCCESS) return result;

  VkSpecializationMapEntry entries[Dispatch::max_constants] = {};
  for (std::uint32_t i = 0; i < d.constants; ++i) entries[i] = {i, i * 4, 4};
  VkSpecializationInfo specialization{};
  specialization.mapEntryCount = d.constants;
  specialization.pMapEntries = entries;
  specialization.dataSize = d.constants * 4;
  specialization.pData = d.constant;
  VkComputePipelineCreateInfo create{};
  create.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  create.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  create.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  create.stage.module = module;
  create.stage.pName = "main";
  create.stage.pSpecializationInfo = &specialization;
  create.layout = layout;
  result = CreateComputePipelines(handle, cache_, 1, &create, nullptr, &pipeline);
  DestroyShaderModule(handle, module, nullptr);
  if (result != VK_SUCCESS) pipeline = VK_NULL_HANDLE;
  return result;
}

Result<Pipeline> Device::pipeline(const Dispatch& d) {
  Key key{d.shader, d.bindings, d.push_bytes, {d.constant, d.constant + d.constants}};
  const auto found = pipelines_.find(key);
  if (found != pipelines_.end()) return found->second;
  KEDGE_TRY(const Layout layouts, layout(d.bindings, d.push_bytes));
  // The place first, so that nothing can fail once there is something to destroy.
  const auto made =
      pipelines_.emplace(std::move(key), Pipeline{VK_NULL_HANDLE, layouts.layout, layouts.set})
          .first;
  const VkResult result = compile(d, layouts.layout, made->second.pipeline);
  if (result == VK_SUCCESS) return made->second;
  pipelines_.erase(made);
  return refuse(d.shader->name, result);
}

Status Device::prewarm(std::span<const Dispatch> dispatches) {
  struct Item {
    const Dispatch* dispatch;
    std::map<Key, Pipeline>::iterator place;
    VkResult result;
  };
  std::vector<Item> items;
  for (const Dispatch& d : dispatches) {
    KEDGE_TRY(const Layout layouts, layout(d.bindings, d.push_bytes));
    const auto [place, fresh] = pipelines_.emplace(
        Key{d.shader, d.bindings, d.push_bytes, {d.constant, d.constant + d.constants}},
        Pipeline{VK_NULL_HANDLE, layouts.layout, layouts.set});
    if (fresh) items.push_back({&d, place, VK_SUCCESS});
  }
  struct Work {
    const Device* device;
    std::vector<Item>* items;
  } work{this, &items};
  const auto body = [](void* context, std::size_t task) noexcept {
    const Work& w = *static_cast<Work*>(context);
    Item& item = (*w.items)[task];
    Pipeline& p = item.place->second;
    item.result = w.device->compile(*item.dispatch, p.layout, p.pipeline);
  };
  Status status;
  if (executor_ == nullptr)
    for (std::size_t i = 0; i < items.size(); ++i) body(&work, i);
  else if (!items.empty()) status = executor_->tasks(items.size(), body, &work);
  for (Item& item : items) {
    if (item.place->second.pipeline != VK_NULL_HANDLE) continue;
    if (status && item.result != VK_SUCCESS)
      status = refuse(item.dispatch->shader->name, item.result);
    pipelines_.erase(item.place);
  }
  return status;
}

Status Device::prewarm(const PlanKernel& kernel, const void* args,
                       std::span<const std::int64_t> rows) {
  Collector all(limits);
  for (const std::int64_t count : rows) KEDGE_CHECK(kernel.record(args, count, all));
  return prewarm(all.items);
}

namespace {

// Before what the driver gave: so that what was damaged is never handed to a driver.
struct CacheHead {
  char magic[8];
  std::uint64_t bytes, digest;
};
constexpr char cache_magic[8] = {'k', 'e', 'd', 'g', 'e', 'v', 'k', '1'};

}  // namespace

Status Device::open_cache(std::span<const std::byte> saved) {
  VkPipelineCacheCreateInfo create{};
  create.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  if (!saved.empty()) {
    CacheHead head{};
    if (saved.size() >= sizeof head) std::memcpy(&head, saved.data(), sizeof head);
    const auto data = saved.subspan(std::min(saved.size(), sizeof head));
    if (std::memcmp(head.magic, cache_magic, sizeof cache_magic) != 0 ||
        head.bytes != data.size() || head.digest != Hash::of(data))
      return fail(Code::malformed, "pipeline cache",
                  "%zu bytes that were not written by Kedge, or not all of them", saved.size());
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    instance_->GetPhysicalDeviceProperties2(physical_, &properties);
    VkPipelineCacheHeaderVersionOne made{};
    if (data.size() >= sizeof made) std::memcpy(&made, data.data(), sizeof made);
    const VkPhysicalDeviceProperties& mine = properties.properties;
    if (made.vendorID == mine.vendorID && made.deviceID == mine.deviceID &&
        std::memcmp(made.pipelineCacheUUID, mine.pipelineCacheUUID, VK_UUID_SIZE) == 0) {
      create.initialDataSize = data.size();
      create.pInitialData = data.data();
    }
  }
  const VkResult result = CreatePipelineCache(handle, &create, nullptr, &cache_);
  if (result == VK_SUCCESS) return {};
  cache_ = VK_NULL_HANDLE;
  return refuse("vkCreatePipelineCache", result);
}

Result<std::vector<std::byte>> Device::save_cache() const {
  std::vector<std::byte> saved;
  std::size_t size = 0;
  VkResult result = GetPipelineCacheData(handle, cache_, &size, nullptr);
  if (result == VK_SUCCESS) {
    saved.resize(sizeof(CacheHead) + size);
    result = GetPipelineCacheData(handle, cache_, &size, saved.data() + sizeof(CacheHead));
  }
  if (result != VK_SUCCESS) return refused(info.name, "vkGetPipelineCacheData", result);
  saved.resize(sizeof(CacheHead) + size);
  CacheHead head{};
  std::memcpy(head.magic, cache_magic, sizeof cache_magic);
  head.bytes = size;
  head.digest = Hash::of(std::span(saved).subspan(sizeof head));
  std::memcpy(saved.data(), &head, sizeof head);
  return saved;
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
