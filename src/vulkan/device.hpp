// Device: queue, timeline, memory types and pipelines of one VkDevice. One mutex guards all of it;
// functions here expect it to be held, but for those of Accelerator and the public ones in
// vulkan.cpp and buffer.cpp, which take it.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "instance.hpp"
#include "kedge/backend/accelerator.hpp"
#include "kernels.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

// A buffer with its memory.
struct Memory {
  std::shared_ptr<Device> device;  // null for the device's own ones
  Device* owner = nullptr;
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  std::byte* mapped = nullptr;  // null: not visible to the host
  bool cached = false;          // mapped, and the host reads it through its caches
  void* reserved = nullptr;     // addresses that stand for memory that is not mapped
  std::uint64_t size = 0;       // as asked for; the buffer has at least 4 bytes
  std::uint32_t heap = 0;

  Memory() = default;
  Memory(const Memory&) = delete;
  ~Memory();
};

struct Pipeline {
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkDescriptorSetLayout set = VK_NULL_HANDLE;
};

// Refuses what the device would refuse, or worse, accept.
Status expect_dispatch(const Limits& limits, const char* op, const Dispatch& dispatch) noexcept;

// Where an address lies.
struct Location {
  VkBuffer buffer = VK_NULL_HANDLE;
  std::uint64_t offset = 0, left = 0;  // bytes from there to the buffer's end
};

class Device final : public Accelerator, public std::enable_shared_from_this<Device> {
 public:
  static Result<std::shared_ptr<Device>> create(std::shared_ptr<Instance> instance,
                                                VkPhysicalDevice physical, const DeviceInfo& info,
                                                const Vulkan::Options& options);
  // The host's device and queue, which stay the host's.
  static Result<std::shared_ptr<Device>> adopt(std::shared_ptr<Instance> instance,
                                               const Vulkan::Host& host, const DeviceInfo& info,
                                               const Vulkan::Options& options);
  Device() noexcept;
  Device(const Device&) = delete;
  ~Device() override;

  // Accelerator, in memory.cpp and plan.cpp.
  const char* name() const noexcept override { return info.name; }
  Allocator memory(DeviceMemory use) noexcept override;
  std::uint64_t max_allocation() const noexcept override { return max_allocation_; }
  std::uint64_t max_tensor() const noexcept override { return limits.max_binding_bytes; }
  Status expect_room(std::uint64_t bytes, const char* purpose) noexcept override;
  Status write(std::byte* to, const void* from, std::size_t bytes) noexcept override;
  bool readable(const std::byte* address) noexcept override;
  bool has(const char* op) noexcept override {
    const std::lock_guard lock(mutex);
    return kernel(op) != nullptr;
  }
  Result<std::unique_ptr<AcceleratorPlan>> compile(std::span<const PlanNode> nodes,
                                                   const Shape& shape) noexcept override;

  // Of an address in memory that memory() handed out; no buffer where there is none.
  Location find(const std::byte* address) const noexcept;
  // Bytes that the heap of device memory has left for this process, as far as the driver says.
  std::uint64_t free_bytes() const noexcept;

  enum class Place : std::uint8_t { device, staging };
  Status allocate(std::uint64_t bytes, const char* purpose, Place place, Memory& memory) noexcept;
  Status upload(const Memory& to, const void* data, std::uint64_t bytes,
                std::uint64_t offset) noexcept;
  Status readback(const Memory& from, void* data, std::uint64_t bytes,
                  std::uint64_t offset) noexcept;

  // Compiled at first use, kept by module and constants.
  Result<Pipeline> pipeline(const Dispatch& dispatch);
  // Compiles those of these that are not there yet, by the workers of Options::executor if any.
  Status prewarm(std::span<const Dispatch> dispatches);
  // Those that a kernel dispatches for these numbers of rows.
  Status prewarm(const PlanKernel& kernel, const void* args, std::span<const std::int64_t> rows);
  bool has_workers() const noexcept { return executor_ != nullptr; }
  Status open_cache(std::span<const std::byte> saved);
  Result<std::vector<std::byte>> save_cache() const;
  Result<bool> poll(std::uint64_t value) noexcept;
  bool lost() const noexcept { return lost_; }
  VkSemaphore timeline() const noexcept { return timeline_; }

  // One command buffer at a time: begin, record, submit_and_wait.
  Result<VkCommandBuffer> begin() noexcept;
  Status submit_and_wait(VkCommandBuffer commands) noexcept;
  // Of recorded command buffers, in order; the value that the timeline has once they are done.
  Result<std::uint64_t> submit(std::span<const VkCommandBuffer> commands) noexcept;
  // Needs no lock.
  Status wait(std::uint64_t value) noexcept;
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
  std::uint32_t family() const noexcept { return family_; }
  // Those of this library and those that were added: a later one of a name wins.
  Status add_kernel(const PlanKernel& kernel);
  const PlanKernel* kernel(const char* op) const noexcept;
  // Before a plan: a feature that gives wrong answers is turned off.
  Status self_test(std::span<const PlanNode> nodes);
  // What of a node's arguments chooses between pipelines.
  using TestKey = std::array<std::int64_t, 4>;
  double submission_ms = 0;  // Vulkan::Options
  double iterations_per_ms;  // of all invocations together, assumed

 private:
  struct Key {
    const Shader* shader;
    std::uint32_t bindings, push_bytes;
    std::vector<std::uint32_t> constants;
    auto operator<=>(const Key&) const = default;
  };
  // What an Allocator's context points to.
  struct Region {
    Device* device;
    DeviceMemory use;
  };
  static void* take(void* region, std::size_t bytes, std::size_t alignment) noexcept;
  static void give_back(void* region, void* memory, std::size_t bytes,
                        std::size_t alignment) noexcept;
  static const char* explain(void* region) noexcept;
  Result<void*> take(DeviceMemory use, std::size_t bytes);

  struct Layout {
    VkDescriptorSetLayout set = VK_NULL_HANDLE;
    VkPipelineLayout layout = VK_NULL_HANDLE;
  };

  // The host's lock of the queue, if it has one.
  class QueueLock {
   public:
    explicit QueueLock(const Device& device) noexcept : host_(device.host_) {
      if (host_.lock_queue != nullptr) host_.lock_queue(host_.context);
    }
    QueueLock(const QueueLock&) = delete;
    ~QueueLock() {
      if (host_.unlock_queue != nullptr) host_.unlock_queue(host_.context);
    }

   private:
    const Vulkan::Host& host_;
  };

  Status load() noexcept;
  Status make_objects() noexcept;
  void wait_idle() noexcept;
  void learn_limits(const Vulkan::Options& options) noexcept;
  std::uint32_t memory_type(std::uint32_t allowed, Place place) const noexcept;
  Result<Layout> layout(std::uint32_t bindings, std::uint32_t push_bytes);
  VkResult compile(const Dispatch& dispatch, VkPipelineLayout layout,
                   VkPipeline& pipeline) const noexcept;
  Status transfer(const Memory& device_side, std::byte* data, std::uint64_t bytes,
                  std::uint64_t offset, bool up) noexcept;

  std::shared_ptr<Instance> instance_;
  Vulkan::Host host_;  // of an adopted device
  bool adopted_ = false;
  VkPhysicalDevice physical_ = VK_NULL_HANDLE;
  VkPhysicalDeviceMemoryProperties memory_{};
  std::uint64_t max_allocation_ = 0;
  bool direct_memory_ = true, has_budget_ = false;
  std::atomic<bool> lost_{false};
  std::set<std::pair<RecordBody, TestKey>> tested_;  // kernels whose answers were right
  Region regions_[4];
  std::map<std::uintptr_t, std::unique_ptr<Memory>> memories_;  // of regions, by first address
  std::uint64_t taken_[VK_MAX_MEMORY_HEAPS] = {};               // by heap
  std::atomic<const char*> refusal_{""};                        // of the last allocation
  std::deque<PlanKernel> kernels_;                              // added; plans point to them
  std::uint32_t family_ = 0;
  VkQueue queue_ = VK_NULL_HANDLE;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkSemaphore timeline_ = VK_NULL_HANDLE;  // one for the queue's whole life
  std::uint64_t submitted_ = 0;
  std::unique_ptr<Memory> staging_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Layout> layouts_;
  std::map<Key, Pipeline> pipelines_;
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  Executor* executor_ = nullptr;
};

}  // namespace kedge::inline KEDGE_ABI::vulkan
