// Vulkan: a device that the caller chose. The loader (libvulkan.so.1) is opened at run time, and a
// missing one, like every refusal of a driver, is an Error that names the device and what failed.
// Needs Vulkan 1.2 with 8- and 16-bit storage and timeline semaphores. Operators are
// Kernel<Vulkan, Op>, kernel/vulkan/*.hpp. Link kedge::vulkan.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kedge/kernel/vulkan/dispatch.hpp"
#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI {

class Vulkan;

namespace vulkan {

class Device;
struct Memory;

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
    bool subgroups = true;                // false: only the `shared` variants of reductions
    // Products on a device with subgroups of eight: each lane has outputs of its own. false: lanes
    // share an output, as on other devices; not the same bytes.
    bool output_lanes = true;
    bool direct_memory = true;            // false: every transfer through a staging buffer
    std::uint64_t max_binding_bytes = 0;  // lowers the device's own limit; 0: keep it
    // Runs under VK_LAYER_KHRONOS_validation (Code::not_found without it), which reports here. May
    // be called from any thread that calls Vulkan through this object.
    void (*validation)(void* context, const char* message) noexcept = nullptr;
    void* validation_context = nullptr;
  };

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
    Op::fields(Collect<typename Op::Args>{args, list});
    return run(
        Op::name, list,
        [](const void* a, std::int64_t n, vulkan::Recorder& recorder) noexcept {
          return Kernel<Vulkan, Op>::record(*static_cast<const typename Op::Args*>(a), n, recorder);
        },
        &args, rows);
  }

 private:
  using RecordBody = Status (*)(const void* args, std::int64_t rows, vulkan::Recorder&) noexcept;

  template <class Args>
  struct Collect {
    const Args& args;
    vulkan::Arguments& list;
    void tensor(const char* name, Tensor Args::*member, op::Role role, const char*) const noexcept {
      const Tensor& t = args.*member;
      if (t.empty()) return;
      if (list.count == vulkan::Arguments::max) ++list.dropped;
      else list.item[list.count++] = {name, t, role};
    }
    template <class T>
    void setting(const char*, T Args::*, const char*) const noexcept {}
  };

  Status run(const char* op, const vulkan::Arguments& arguments, RecordBody record,
             const void* args, std::int64_t rows) const noexcept;

  std::shared_ptr<vulkan::Device> device_;
};

}  // namespace kedge::inline KEDGE_ABI
