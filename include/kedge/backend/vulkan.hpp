// Vulkan: a device that the caller chose. The loader (libvulkan.so.1) is opened at run time, and a
// missing one, like every refusal of a driver, is an Error that names the device and what failed.
// Needs Vulkan 1.2 with 8- and 16-bit storage and timeline semaphores. Operators are
// Kernel<Vulkan, Op>, kernel/vulkan/*.hpp. Link kedge::vulkan.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kedge/backend/accelerator.hpp"
#include "kedge/core/executor.hpp"
#include "kedge/kernel/vulkan/dispatch.hpp"
#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI {

class Vulkan;

namespace vulkan {

class Device;
struct Memory;

// An operator's kernel without its type.
using RecordBody = Status (*)(const void* args, std::int64_t rows, Recorder&) noexcept;
struct PlanKernel {
  const char* op = nullptr;
  RecordBody record = nullptr;
};
template <class Op>
inline constexpr PlanKernel plan_kernel = {
    Op::name, [](const void* args, std::int64_t rows, Recorder& recorder) noexcept -> Status {
      return Kernel<Vulkan, Op>::record(*static_cast<const typename Op::Args*>(args), rows,
                                        recorder);
    }};

enum class DeviceType : std::uint8_t { discrete, integrated, virtual_gpu, cpu, other };

constexpr const char* to_string(DeviceType type) noexcept {
  constexpr const char* names[] = {"discrete", "integrated", "virtual", "cpu", "other"};
  return names[static_cast<unsigned>(type)];
}

struct DeviceInfo {
  int index = 0;  // what Options::index takes
  char name[256] = {};
  char driver[256] = {};  // name and version in the driver's own words
  DeviceType type = DeviceType::other;
  std::uint32_t api_major = 0, api_minor = 0;
  std::uint64_t local_bytes = 0;  // the largest device-local heap
  char missing[128] = {};         // what Kedge needs and the device lacks; empty: usable
};

// Memory of the device. It keeps the device alive.
class KEDGE_API Buffer {
 public:
  Buffer() noexcept;
  Buffer(Buffer&&) noexcept;
  Buffer& operator=(Buffer&&) noexcept;
  ~Buffer();

  std::uint64_t size() const noexcept;
  // [offset, offset + bytes) must lie in the buffer: Code::invalid_argument.
  Status upload(const void* data, std::uint64_t bytes, std::uint64_t offset = 0) noexcept;
  Status readback(void* data, std::uint64_t bytes, std::uint64_t offset = 0) const noexcept;

 private:
  friend class ::kedge::Vulkan;
  std::unique_ptr<Memory> memory_;
};

// The tensors of one call, for run().
struct Arguments {
  static constexpr int max = Dispatch::max_bindings;
  struct Item {
    const char* name;
    Tensor tensor;
    op::Role role;
    std::uint64_t bytes;  // of its memory
  } item[max] = {};
  int count = 0, dropped = 0;
};

KEDGE_API std::span<const Shader* const> shaders() noexcept;  // every embedded module

}  // namespace vulkan

class KEDGE_API Vulkan {
 public:
  struct Options {
    int index = -1;              // of devices(); -1: by name or by type
    const char* name = nullptr;  // part of the device's name
    bool allow_cpu = false;      // a software device is slow, so it must be asked for
    const char* loader = "libvulkan.so.1";
    // False: only the `shared` variants of reductions. True: these where the device has no
    // shuffles, or gets known answers wrong with them, which is tried before its first plan.
    bool subgroups = true;
    // Products on a device with subgroups of eight: each lane has outputs of its own. false: lanes
    // share an output, as on other devices; not the same bytes.
    bool output_lanes = true;
    bool direct_memory = true;            // false: every transfer through a staging buffer
    std::uint64_t max_binding_bytes = 0;  // lowers the device's own limit; 0: keep it
    // A pass is cut into submissions of about so many milliseconds by a rough estimate, for
    // programs that draw frames, drivers that end long work, and cancelling; 0: one submission a
    // pass.
    double submission_ms = 50;
    // Compiles the pipelines of a plan side by side; borrowed, used while a plan is compiled. Null:
    // one by one.
    Executor* executor = nullptr;
    // What pipeline_cache() gave earlier; read by create() alone. One that was damaged is
    // Code::malformed, one of another device or driver is not used.
    std::span<const std::byte> pipeline_cache = {};
    // Runs under VK_LAYER_KHRONOS_validation (Code::not_found without it), which reports here. May
    // be called from any thread that calls Vulkan through this object.
    void (*validation)(void* context, const char* message) noexcept = nullptr;
    void* validation_context = nullptr;
    // There, also instruments every shader, so that each access outside of a buffer is seen. Slow.
    bool validate_accesses = false;
  };

  // A device that the program already uses. Handles are Vulkan's own, and pointers here, so that
  // this header needs none of Vulkan's. They must live as long as this object and all that was made
  // on it; Kedge destroys none of them.
  struct Host {
    void (*get_instance_proc_addr)() = nullptr;  // PFN_vkGetInstanceProcAddr
    void* instance = nullptr;                    // VkInstance, for Vulkan 1.1 or newer
    void* physical_device = nullptr;             // VkPhysicalDevice
    void* device = nullptr;                      // VkDevice
    void* queue = nullptr;                       // VkQueue that computes
    std::uint32_t queue_family = 0;
    // The chain of features that the device was created with (VkDeviceCreateInfo::pNext): Vulkan
    // cannot be asked. See enable_features().
    const void* enabled_features = nullptr;
    // Called around every use of the queue; null: nobody else uses it. Not held while Kedge waits.
    void (*lock_queue)(void* context) noexcept = nullptr;
    void (*unlock_queue)(void* context) noexcept = nullptr;
    void* context = nullptr;
  };
  // Of Options, what chooses a device and opens a loader has no meaning here.
  static Result<Vulkan> adopt(const Host& host, const Options& options) noexcept;

  // What a host must have to be adopted, for the device that it is about to create.
  struct Requirements {
    std::uint32_t api_major = 1, api_minor = 2;  // of instance and device, at least
    std::span<const char* const> features;       // by their names in Vulkan's structures
    std::span<const char* const> extensions;     // of the device; none so far
    char missing[128] = {};                      // what the device lacks; empty: it can be used
  };
  static Result<Requirements> requirements(void (*get_instance_proc_addr)(), void* instance,
                                           void* physical_device) noexcept;
  // Turns these features on in a chain for VkDeviceCreateInfo::pNext, which needs
  // VkPhysicalDeviceVulkan11Features and VkPhysicalDeviceVulkan12Features, or the structures that
  // these are made of. Code::invalid_argument names a structure that is not there.
  static Status enable_features(void* chain) noexcept;

  // All devices of this machine, usable or not.
  static Result<std::vector<vulkan::DeviceInfo>> devices(const Options& options) noexcept;

  // Without index and name: discrete before integrated before virtual, cpu last and only if
  // allowed. Code::not_found without loader or device, Code::unsupported when it lacks what Kedge
  // needs.
  static Result<Vulkan> create(const Options& options) noexcept;

  const vulkan::DeviceInfo& info() const noexcept;
  const vulkan::Limits& limits() const noexcept;
  std::size_t pipelines() const noexcept;  // compiled so far

  // `purpose` names the memory in the error.
  Result<vulkan::Buffer> buffer(std::uint64_t bytes, const char* purpose) const noexcept;

  // One operator at once, on tensors in host memory: check, copy in, dispatch, wait, copy out. One
  // caller at a time; others wait.
  template <class Op>
  Status run(const typename Op::Args& args, std::int64_t rows) const noexcept {
    KEDGE_CHECK(Op::check(args));
    vulkan::Arguments list;
    Op::fields(Collect<Op>{args, list});
    return run(Op::name, list, vulkan::plan_kernel<Op>.record, &args, rows);
  }

  // Compiles what an operator will need for so many rows, which need no memory yet, by the workers
  // of Options::executor if there are any: at a time of the caller's choice instead of at the first
  // run. Plans do so for themselves.
  template <class Op>
  Status prewarm(const typename Op::Args& args, std::span<const std::int64_t> rows) const noexcept {
    KEDGE_CHECK(Op::check(args));
    return prewarm(vulkan::plan_kernel<Op>, &args, rows);
  }

  // VkSemaphore of the device's timeline: it has the value of a plan's ticket once that is done, so
  // that a host's own submissions can wait for it.
  std::uint64_t timeline() const noexcept;
  // Whether the device was lost. It stays so: every call fails, and freeing is all that can be
  // done; a new Vulkan from the same options can go on, with models that are loaded again.
  bool lost() const noexcept;
  // What the driver keeps of compiled pipelines, for Options::pipeline_cache of the next process.
  Result<std::vector<std::byte>> pipeline_cache() const noexcept;

  // What Model::Options and Plan::compile take. It keeps the device.
  std::shared_ptr<Accelerator> accelerator() const noexcept;
  // Lets plans have an operator that Kedge does not have, or another kernel of one that it has.
  template <class Op>
  Status add_operator() noexcept {
    return add_kernel(vulkan::plan_kernel<Op>);
  }

 private:
  template <class Op>
  struct Collect {
    using Args = typename Op::Args;
    const Args& args;
    vulkan::Arguments& list;
    void tensor(const char* name, Tensor Args::*member, op::Role role, const char*) const noexcept {
      const Tensor& t = args.*member;
      if (t.empty()) return;
      std::uint64_t bytes = t.bytes();
      // A layer of a cache is a tensor whose last row ends before it is full.
      if constexpr (requires { Op::cache_bytes(args); })
        if (member == &Args::cache) bytes = Op::cache_bytes(args);
      if (list.count == vulkan::Arguments::max) ++list.dropped;
      else list.item[list.count++] = {name, t, role, bytes};
    }
    template <class T>
    void setting(const char*, T Args::*, const char*) const noexcept {}
  };

  Status run(const char* op, const vulkan::Arguments& arguments, vulkan::RecordBody record,
             const void* args, std::int64_t rows) const noexcept;
  Status prewarm(const vulkan::PlanKernel& kernel, const void* args,
                 std::span<const std::int64_t> rows) const noexcept;
  Status add_kernel(const vulkan::PlanKernel& kernel) noexcept;

  std::shared_ptr<vulkan::Device> device_;
};

}  // namespace kedge::inline KEDGE_ABI
