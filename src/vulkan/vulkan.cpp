// The public object: choosing a device, and the border where exceptions end.
#include "kedge/backend/vulkan.hpp"

#include <cstring>

#include "run.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

Result<std::vector<vulkan::DeviceInfo>> describe_all(
    const vulkan::Instance& instance, const std::vector<VkPhysicalDevice>& physical) {
  std::vector<vulkan::DeviceInfo> list;
  for (std::size_t i = 0; i < physical.size(); ++i) {
    list.push_back(instance.describe(physical[i]));
    list.back().index = static_cast<int>(i);
  }
  return list;
}

// The device that Options asks for, as an index of `devices`.
Result<int> choose(const std::vector<vulkan::DeviceInfo>& devices, const Vulkan::Options& options) {
  const int count = static_cast<int>(devices.size());
  if (count == 0) return fail(Code::not_found, "Vulkan", "this machine has no Vulkan device");
  if (options.index >= count)
    return fail(Code::not_found, "Vulkan", "device %d asked for, there are %d", options.index,
                count);
  int best = -1;
  const char *cpu = nullptr, *unusable = nullptr, *missing = nullptr;
  for (const vulkan::DeviceInfo& device : devices) {
    if (options.index >= 0 && device.index != options.index) continue;
    if (options.name != nullptr && std::strstr(device.name, options.name) == nullptr) continue;
    if (device.missing[0] != '\0') {
      unusable = device.name;
      missing = device.missing;
      continue;
    }
    if (device.type == vulkan::DeviceType::cpu && !options.allow_cpu) {
      cpu = device.name;
      continue;
    }
    if (best < 0 || device.type < devices[static_cast<std::size_t>(best)].type) best = device.index;
  }
  if (best >= 0) return best;
  if (unusable != nullptr)
    return fail(Code::unsupported, unusable, "the device lacks what Kedge needs: %s", missing);
  if (cpu != nullptr)
    return fail(Code::not_found, cpu, "only a software device is there; allow_cpu would take it");
  return fail(Code::not_found, "Vulkan", "no device is named '%s'; the first of %d is '%s'",
              options.name == nullptr ? "" : options.name, count, devices[0].name);
}

}  // namespace

Result<std::vector<vulkan::DeviceInfo>> Vulkan::devices(const Options& options) noexcept {
  return vulkan::guarded("Vulkan", [&]() -> Result<std::vector<vulkan::DeviceInfo>> {
    KEDGE_TRY(const auto instance, vulkan::Instance::create(options));
    KEDGE_TRY(const auto physical, instance->physical_devices());
    return describe_all(*instance, physical);
  });
}

Result<Vulkan> Vulkan::create(const Options& options) noexcept {
  return vulkan::guarded("Vulkan", [&]() -> Result<Vulkan> {
    KEDGE_TRY(const auto instance, vulkan::Instance::create(options));
    KEDGE_TRY(const auto physical, instance->physical_devices());
    KEDGE_TRY(const auto devices, describe_all(*instance, physical));
    KEDGE_TRY(const int index, choose(devices, options));
    const auto i = static_cast<std::size_t>(index);
    Vulkan vulkan;
    KEDGE_TRY(vulkan.device_, vulkan::Device::create(instance, physical[i], devices[i], options));
    return vulkan;
  });
}

const vulkan::DeviceInfo& Vulkan::info() const noexcept { return device_->info; }
const vulkan::Limits& Vulkan::limits() const noexcept { return device_->limits; }

std::size_t Vulkan::pipelines() const noexcept {
  const std::lock_guard lock(device_->mutex);
  return device_->pipeline_count();
}

Result<vulkan::Buffer> Vulkan::buffer(std::uint64_t bytes, const char* purpose) const noexcept {
  return vulkan::guarded(purpose, [&]() -> Result<vulkan::Buffer> {
    const std::lock_guard lock(device_->mutex);
    vulkan::Buffer buffer;
    buffer.memory_ = std::make_unique<vulkan::Memory>();
    buffer.memory_->device = device_;
    KEDGE_CHECK(device_->allocate(bytes, purpose, vulkan::Device::Place::device, *buffer.memory_));
    return buffer;
  });
}

std::uint64_t Vulkan::timeline() const noexcept {
  return reinterpret_cast<std::uint64_t>(device_->timeline());
}
bool Vulkan::lost() const noexcept { return device_->lost(); }

Result<std::vector<std::byte>> Vulkan::pipeline_cache() const noexcept {
  return vulkan::guarded("pipeline cache", [&]() -> Result<std::vector<std::byte>> {
    const std::lock_guard lock(device_->mutex);
    return device_->save_cache();
  });
}

std::shared_ptr<Accelerator> Vulkan::accelerator() const noexcept { return device_; }

Status Vulkan::prewarm(const vulkan::PlanKernel& kernel, const void* args,
                       std::span<const std::int64_t> rows) const noexcept {
  return vulkan::guarded(kernel.op, [&]() -> Status {
    const std::lock_guard lock(device_->mutex);
    return device_->prewarm(kernel, args, rows);
  });
}

Status Vulkan::add_kernel(const vulkan::PlanKernel& kernel) noexcept {
  return vulkan::guarded(kernel.op, [&]() -> Status {
    const std::lock_guard lock(device_->mutex);
    return device_->add_kernel(kernel);
  });
}

Status Vulkan::run(const char* op, const vulkan::Arguments& arguments, vulkan::RecordBody record,
                   const void* args, std::int64_t rows) const noexcept {
  return vulkan::guarded(op, [&]() -> Status {
    const std::lock_guard lock(device_->mutex);
    return vulkan::run_operator(*device_, op, arguments, record, args, rows);
  });
}

}  // namespace kedge::inline KEDGE_ABI
