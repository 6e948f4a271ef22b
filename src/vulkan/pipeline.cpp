// Pipelines by (module, bindings, push constants, specialization constants).
#include "device.hpp"

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

Result<Pipeline> Device::pipeline(const Dispatch& d) {
  Key key{d.shader, d.bindings, d.push_bytes, {d.constant, d.constant + d.constants}};
  const auto found = pipelines_.find(key);
  if (found != pipelines_.end()) return found->second;
  KEDGE_TRY(const Layout layouts, layout(d.bindings, d.push_bytes));

  VkShaderModuleCreateInfo module_info{};
  module_info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  module_info.codeSize = d.shader->count * 4;
  module_info.pCode = d.shader->words;
  VkShaderModule module = VK_NULL_HANDLE;
  VkResult result = CreateShaderModule(handle, &module_info, nullptr, &module);
  if (result != VK_SUCCESS) return refuse(d.shader->name, result);

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
  create.layout = layouts.layout;
  Pipeline& made = pipelines_[std::move(key)];
  made = {VK_NULL_HANDLE, layouts.layout, layouts.set};
  result = CreateComputePipelines(handle, VK_NULL_HANDLE, 1, &create, nullptr, &made.pipeline);
  DestroyShaderModule(handle, module, nullptr);
  if (result != VK_SUCCESS) {
    std::erase_if(pipelines_, [&](const auto& entry) { return &entry.second == &made; });
    return refuse(d.shader->name, result);
  }
  return made;
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
