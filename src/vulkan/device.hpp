// Device: queue, timeline, memory types and pipelines of one VkDevice. One mutex guards all of it;
// functions here expect it to be held, the public ones in vulkan.cpp and buffer.cpp take it.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "instance.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

// A buffer with its memory.
struct Memory {
  std::shared_ptr<Device> device;  // null for the device's own ones
  Device* owner = nullptr;
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  std::byte* mapped = nullptr;  // null: not visible to the host
  std::uint64_t size = 0;       // as asked for; the buffer has at least 4 bytes

  Memory() = default;
  Memory(const Memory&) = delete;
  ~Memory();
};

struct Pipeline {
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkDescriptorSetLayout set = VK_NULL_HANDLE;
};

class Device {
 public:
  static Result<std::shared_ptr<Device>> create(std::shared_ptr<Instance> instance,
                                                VkPhysicalDevice physical, const DeviceInfo& info,
                                                const Vulkan::Options& options);
  Device() = default;
  Device(const Device&) = delete;
  ~Device();

  enum class Place : std::uint8_t { device, staging };
  Status allocate(std::uint64_t bytes, const char* purpose, Place place, Memory& memory) noexcept;
  Status upload(const Memory& to, const void* data, std::uint64_t bytes,
                std::uint64_t offset) noexcept;
  Status readback(const Memory& from, void* data, std::uint64_t bytes,
                  std::uint64_t offset) noexcept;

  // Compiled at first use, kept by module and constants.
  Result<Pipeline> pipeline(const Dispatch& dispatch);

  // One command buffer at a time: begin, record, submit_and_wait.
  Result<VkCommandBuffer> begin() noexcept;
  Status submit_and_wait(VkCommandBuffer commands) noexcept;
  // Everything before is visible to everything after: shaders, copies and the host.
  void barrier(VkCommandBuffer commands) noexcept;

  // What a call failed with; a lost device stays lost and every later call says so.
  Unexpected refuse(const char* call, VkResult result) noexcept;
  Status usable() const noexcept;

  KEDGE_VK_DEVICE_FUNCTIONS(KEDGE_VK_MEMBER)

  std::mutex mutex;
  DeviceInfo info;
  Limits limits;
  VkDevice handle = VK_NULL_HANDLE;
  std::unique_ptr<Memory> absent;  // bound where an argument is absent
  std::size_t pipeline_count() const noexcept { return pipelines_.size(); }

 private:
  struct Key {
    const Shader* shader;
    std::uint32_t bindings, push_bytes;
    std::vector<std::uint32_t> constants;
    auto operator<=>(const Key&) const = default;
  };
  struct Layout {
    VkDescriptorSetLayout set = VK_NULL_HANDLE;
    VkPipelineLayout layout = VK_NULL_HANDLE;
  };

  Status load() noexcept;
  void learn_limits(const Vulkan::Options& options) noexcept;
  std::uint32_t memory_type(std::uint32_t allowed, Place place) const noexcept;
  Result<Layout> layout(std::uint32_t bindings, std::uint32_t push_bytes);
  Status transfer(const Memory& device_side, std::byte* data, std::uint64_t bytes,
                  std::uint64_t offset, bool up) noexcept;

  std::shared_ptr<Instance> instance_;
  VkPhysicalDevice physical_ = VK_NULL_HANDLE;
  VkPhysicalDeviceMemoryProperties memory_{};
  std::uint64_t max_allocation_ = 0;
  bool direct_memory_ = true, lost_ = false;
  std::uint32_t family_ = 0;
  VkQueue queue_ = VK_NULL_HANDLE;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkSemaphore timeline_ = VK_NULL_HANDLE;  // one for the queue's whole life
  std::uint64_t submitted_ = 0;
  std::unique_ptr<Memory> staging_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Layout> layouts_;
  std::map<Key, Pipeline> pipelines_;
};

}  // namespace kedge::inline KEDGE_ABI::vulkan
