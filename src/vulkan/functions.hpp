// Function tables, one per instance and one per device: a process-wide table would tie all devices
// of a program to one. Filled by name from the loader; every entry is there or create() fails.
#pragma once

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

// Callable without an instance.
#define KEDGE_VK_GLOBAL_FUNCTIONS(F) \
  F(CreateInstance)                  \
  F(EnumerateInstanceLayerProperties)

#define KEDGE_VK_INSTANCE_FUNCTIONS(F)      \
  F(DestroyInstance)                        \
  F(EnumeratePhysicalDevices)               \
  F(GetPhysicalDeviceProperties2)           \
  F(GetPhysicalDeviceFeatures2)             \
  F(GetPhysicalDeviceMemoryProperties)      \
  F(GetPhysicalDeviceMemoryProperties2)     \
  F(EnumerateDeviceExtensionProperties)     \
  F(GetPhysicalDeviceQueueFamilyProperties) \
  F(CreateDevice)                           \
  F(GetDeviceProcAddr)

#define KEDGE_VK_DEVICE_FUNCTIONS(F) \
  F(DestroyDevice)                   \
  F(GetDeviceQueue)                  \
  F(QueueSubmit)                     \
  F(QueueWaitIdle)                   \
  F(CreateSemaphore)                 \
  F(DestroySemaphore)                \
  F(WaitSemaphores)                  \
  F(GetSemaphoreCounterValue)        \
  F(CreateBuffer)                    \
  F(DestroyBuffer)                   \
  F(GetBufferMemoryRequirements)     \
  F(AllocateMemory)                  \
  F(FreeMemory)                      \
  F(BindBufferMemory)                \
  F(MapMemory)                       \
  F(CreateShaderModule)              \
  F(DestroyShaderModule)             \
  F(CreateDescriptorSetLayout)       \
  F(DestroyDescriptorSetLayout)      \
  F(CreatePipelineLayout)            \
  F(DestroyPipelineLayout)           \
  F(CreateComputePipelines)          \
  F(CreatePipelineCache)             \
  F(DestroyPipelineCache)            \
  F(GetPipelineCacheData)            \
  F(DestroyPipeline)                 \
  F(CreateDescriptorPool)            \
  F(DestroyDescriptorPool)           \
  F(AllocateDescriptorSets)          \
  F(UpdateDescriptorSets)            \
  F(CreateCommandPool)               \
  F(DestroyCommandPool)              \
  F(ResetCommandPool)                \
  F(AllocateCommandBuffers)          \
  F(BeginCommandBuffer)              \
  F(EndCommandBuffer)                \
  F(CmdBindPipeline)                 \
  F(CmdBindDescriptorSets)           \
  F(CmdPushConstants)                \
  F(CmdDispatch)                     \
  F(CmdPipelineBarrier)              \
  F(CmdCopyBuffer)

#define KEDGE_VK_MEMBER(name) PFN_vk##name name = nullptr;
