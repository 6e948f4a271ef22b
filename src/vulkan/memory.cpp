// Memory of a device as the rest of Kedge sees it: an Allocator per use, whose addresses are mapped
// memory where the host sees the device's, else addresses that only stand for it. Each allocation
// is a buffer of its own: models and sessions make a handful of large ones.
#include <algorithm>
#include <cstring>

#include "device.hpp"
#include "kedge/core/os/address_space.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

Allocator Device::memory(DeviceMemory use) noexcept {
  return {&Device::take, &Device::give_back, &regions_[static_cast<unsigned>(use)],
          &Device::explain};
}

const char* Device::explain(void* region) noexcept {
  return static_cast<Region*>(region)->device->refusal_.load();
}

Result<void*> Device::take(DeviceMemory use, std::size_t bytes) {
  auto memory = std::make_unique<Memory>();
  const bool shared = use == DeviceMemory::shared;
  KEDGE_CHECK(allocate(bytes, to_string(use), shared ? Place::staging : Place::device, *memory));
  void* address = memory->mapped;
  if (address == nullptr) {
    if (use == DeviceMemory::state)
      return fail(Code::unsupported, info.name,
                  "the host does not see the device's memory, as caches and states need it");
    memory->reserved = os::reserve_addresses(bytes);
    if (memory->reserved == nullptr)
      return fail(Code::out_of_memory, info.name, "no addresses are left");
    address = memory->reserved;
  }
  taken_[memory->heap] += bytes;
  memory->device = weak_from_this().lock();
  memories_[reinterpret_cast<std::uintptr_t>(address)] = std::move(memory);
  return address;
}

void* Device::take(void* region, std::size_t bytes, std::size_t) noexcept {
  // Not by name: clang 14 does not let a lambda have those.
  Device* const device = static_cast<Region*>(region)->device;
  const DeviceMemory use = static_cast<Region*>(region)->use;
  const auto made = guarded(device->info.name, [&]() -> Result<void*> {
    const std::lock_guard lock(device->mutex);
    return device->take(use, bytes);
  });
  if (made) return *made;
  // Literals only: they are read without the lock.
  device->refusal_ = made.error().code == Code::unsupported
                         ? "the host does not see the device's memory (no resizable BAR)"
                     : bytes > device->max_allocation_ ? "more than the device allocates at once"
                                                       : "the device has no memory left";
  return nullptr;
}

void Device::give_back(void* region, void* address, std::size_t, std::size_t) noexcept {
  Device* const device = static_cast<Region*>(region)->device;
  std::shared_ptr<Device> alive;  // until the lock and the memory are gone
  std::unique_ptr<Memory> memory;
  const std::lock_guard lock(device->mutex);
  const auto found = device->memories_.find(reinterpret_cast<std::uintptr_t>(address));
  if (found == device->memories_.end()) return;
  memory = std::move(found->second);
  device->memories_.erase(found);
  device->taken_[memory->heap] -= memory->size;
  alive = std::move(memory->device);
}

Location Device::find(const std::byte* address) const noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  auto after = memories_.upper_bound(at);
  if (after == memories_.begin()) return {};
  const auto& [first, memory] = *--after;
  if (at - first >= memory->size) return {};
  return {memory->buffer, at - first, memory->size - (at - first)};
}

std::uint64_t Device::free_bytes() const noexcept {
  // Where allocations of Place::device go; any buffer may lie in every type that exists.
  const std::uint32_t type = memory_type(~0u, Place::device);
  if (type >= memory_.memoryTypeCount) return 0;
  const std::uint32_t heap = memory_.memoryTypes[type].heapIndex;
  if (has_budget_) {
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    properties.pNext = &budget;
    instance_->GetPhysicalDeviceMemoryProperties2(physical_, &properties);
    return budget.heapBudget[heap] - std::min(budget.heapUsage[heap], budget.heapBudget[heap]);
  }
  // A software device's heap is a number that its driver made up: memory is the host's.
  if (info.type == DeviceType::cpu) return UINT64_MAX;
  return memory_.memoryHeaps[heap].size - std::min(taken_[heap], memory_.memoryHeaps[heap].size);
}

Status Device::expect_room(std::uint64_t bytes, const char* purpose) noexcept {
  const std::lock_guard lock(mutex);
  KEDGE_CHECK(usable());
  const std::uint64_t free = free_bytes();
  if (bytes <= free) return {};
  return fail(Code::out_of_memory, purpose, "needs %llu bytes, %s has %llu of %llu left",
              static_cast<unsigned long long>(bytes), info.name,
              static_cast<unsigned long long>(free),
              static_cast<unsigned long long>(info.local_bytes));
}

Status Device::write(std::byte* to, const void* from, std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex);
  const auto at = reinterpret_cast<std::uintptr_t>(to);
  auto after = memories_.upper_bound(at);
  if (after == memories_.begin() || at - std::prev(after)->first > std::prev(after)->second->size ||
      bytes > std::prev(after)->second->size - (at - std::prev(after)->first))
    return fail(Code::invalid_argument, info.name, "%zu bytes do not lie in memory of this device",
                bytes);
  const auto& [first, memory] = *std::prev(after);
  return upload(*memory, from, bytes, at - first);
}

// A GPU's memory in a window that the host may write to (resizable BAR) is not cached: reading a
// vocabulary of it takes longer than a pass.
bool Device::readable(const std::byte* address) noexcept {
  const std::lock_guard lock(mutex);
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const auto after = memories_.upper_bound(at);
  if (after == memories_.begin()) return false;
  const auto& [first, memory] = *std::prev(after);
  return at - first < memory->size && memory->cached;
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
