// Memory of a device: allocation, and transfers directly or through a staging buffer.
#include <algorithm>

#include "device.hpp"
#include "kedge/core/os/address_space.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

namespace {
constexpr std::uint64_t staging_bytes = std::uint64_t{16} << 20;
constexpr std::uint32_t no_type = ~0u;
}  // namespace

Memory::~Memory() {
  Device* d = owner;
  if (d == nullptr) return;
  // Freeing unmaps. Nothing is pending: every submission was waited for.
  if (buffer != VK_NULL_HANDLE) d->DestroyBuffer(d->handle, buffer, nullptr);
  if (memory != VK_NULL_HANDLE) d->FreeMemory(d->handle, memory, nullptr);
  if (reserved != nullptr) os::release_addresses(reserved, size);
}

// Staging wants coherent host memory, cached if there is some, for reading back. Everything else
// lives in device-local memory, directly visible only where that is the rule and not a small
// window: its heap is the largest local one.
std::uint32_t Device::memory_type(std::uint32_t allowed, Place place) const noexcept {
  constexpr VkMemoryPropertyFlags host =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  std::uint32_t best = no_type;
  int best_score = 0;
  for (std::uint32_t i = 0; i < memory_.memoryTypeCount; ++i) {
    if (!(allowed >> i & 1u)) continue;
    const VkMemoryPropertyFlags flags = memory_.memoryTypes[i].propertyFlags;
    const bool visible = (flags & host) == host;
    const bool local = (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;
    const bool cached = (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
    int score = 0;
    if (place == Place::staging) {
      if (visible) score = 1 + (cached ? 2 : 0);
    } else if (local) {
      const bool large =
          memory_.memoryHeaps[memory_.memoryTypes[i].heapIndex].size == info.local_bytes;
      score = 1 + (large ? 2 : 0) + (large && visible ? 4 : 0) + (visible && cached ? 1 : 0);
    }
    if (score > best_score) {
      best_score = score;
      best = i;
    }
  }
  return best;
}

Status Device::allocate(std::uint64_t bytes, const char* purpose, Place place,
                        Memory& memory) noexcept {
  KEDGE_CHECK(usable());
  memory.owner = this;
  memory.size = bytes;
  VkBufferCreateInfo create{};
  create.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  create.size = std::max<std::uint64_t>((bytes + 7) / 8 * 8, 4);  // shaders read pairs of words
  create.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  const auto no_memory = [&](const char* why) {
    return fail(Code::out_of_memory, purpose, "%s: %llu bytes: %s", info.name,
                static_cast<unsigned long long>(bytes), why);
  };
  if (create.size > max_allocation_) return no_memory("more than the device allocates at once");
  VkResult result = CreateBuffer(handle, &create, nullptr, &memory.buffer);
  if (result != VK_SUCCESS) {
    memory.buffer = VK_NULL_HANDLE;
    return refuse("vkCreateBuffer", result);
  }
  VkMemoryRequirements needs{};
  GetBufferMemoryRequirements(handle, memory.buffer, &needs);
  const std::uint32_t type = memory_type(needs.memoryTypeBits, place);
  if (type == no_type)
    return fail(Code::device, info.name, "no memory type for %s among types %#x", purpose,
                needs.memoryTypeBits);
  VkMemoryAllocateInfo allocate_info{};
  allocate_info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  allocate_info.allocationSize = needs.size;
  allocate_info.memoryTypeIndex = type;
  memory.heap = memory_.memoryTypes[type].heapIndex;
  result = AllocateMemory(handle, &allocate_info, nullptr, &memory.memory);
  if (result != VK_SUCCESS) {
    memory.memory = VK_NULL_HANDLE;
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
      return no_memory(to_string(result));
    return refuse("vkAllocateMemory", result);
  }
  result = BindBufferMemory(handle, memory.buffer, memory.memory, 0);
  if (result != VK_SUCCESS) return refuse("vkBindBufferMemory", result);

  constexpr VkMemoryPropertyFlags host =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  const bool visible = (memory_.memoryTypes[type].propertyFlags & host) == host;
  if (visible && (place == Place::staging || direct_memory_)) {
    void* mapped = nullptr;
    result = MapMemory(handle, memory.memory, 0, VK_WHOLE_SIZE, 0, &mapped);
    if (result != VK_SUCCESS) return refuse("vkMapMemory", result);
    memory.mapped = static_cast<std::byte*>(mapped);
    memory.cached =
        (memory_.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
  }
  return {};
}

Status Device::transfer(const Memory& device_side, std::byte* data, std::uint64_t bytes,
                        std::uint64_t offset, bool up) noexcept {
  if (staging_ == nullptr) {
    std::unique_ptr<Memory> staging(new (std::nothrow) Memory);
    if (staging == nullptr)
      return fail(Code::out_of_memory, "staging buffer", "host memory is exhausted");
    KEDGE_CHECK(allocate(staging_bytes, "staging buffer", Place::staging, *staging));
    staging_ = std::move(staging);
  }
  for (std::uint64_t done = 0; done < bytes;) {
    const std::uint64_t part = std::min(staging_bytes, bytes - done);
    if (up) std::memcpy(staging_->mapped, data + done, part);
    KEDGE_TRY(VkCommandBuffer commands, begin());
    VkBufferCopy region{};
    region.srcOffset = up ? 0 : offset + done;
    region.dstOffset = up ? offset + done : 0;
    region.size = part;
    CmdCopyBuffer(commands, up ? staging_->buffer : device_side.buffer,
                  up ? device_side.buffer : staging_->buffer, 1, &region);
    barrier(commands);
    KEDGE_CHECK(submit_and_wait(commands));
    if (!up) std::memcpy(data + done, staging_->mapped, part);
    done += part;
  }
  return {};
}

Status Device::upload(const Memory& to, const void* data, std::uint64_t bytes,
                      std::uint64_t offset) noexcept {
  KEDGE_CHECK(usable());
  if (to.mapped == nullptr)
    return transfer(to, static_cast<std::byte*>(const_cast<void*>(data)), bytes, offset, true);
  if (bytes != 0) std::memcpy(to.mapped + offset, data, bytes);
  return {};
}

Status Device::readback(const Memory& from, void* data, std::uint64_t bytes,
                        std::uint64_t offset) noexcept {
  KEDGE_CHECK(usable());
  if (from.mapped == nullptr)
    return transfer(from, static_cast<std::byte*>(data), bytes, offset, false);
  if (bytes != 0) std::memcpy(data, from.mapped + offset, bytes);
  return {};
}

Buffer::Buffer() noexcept = default;
Buffer::Buffer(Buffer&&) noexcept = default;
Buffer& Buffer::operator=(Buffer&&) noexcept = default;
Buffer::~Buffer() = default;

std::uint64_t Buffer::size() const noexcept { return memory_ == nullptr ? 0 : memory_->size; }

namespace {
Status expect_range(std::uint64_t size, std::uint64_t bytes, std::uint64_t offset) noexcept {
  if (offset > size || bytes > size - offset)
    return fail(Code::invalid_argument, "buffer", "%llu bytes at %llu do not lie in %llu bytes",
                static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(offset),
                static_cast<unsigned long long>(size));
  return {};
}
}  // namespace

Status Buffer::upload(const void* data, std::uint64_t bytes, std::uint64_t offset) noexcept {
  KEDGE_CHECK(expect_range(size(), bytes, offset));
  if (bytes == 0) return {};
  const std::lock_guard lock(memory_->owner->mutex);
  return memory_->owner->upload(*memory_, data, bytes, offset);
}

Status Buffer::readback(void* data, std::uint64_t bytes, std::uint64_t offset) const noexcept {
  KEDGE_CHECK(expect_range(size(), bytes, offset));
  if (bytes == 0) return {};
  const std::lock_guard lock(memory_->owner->mutex);
  return memory_->owner->readback(*memory_, data, bytes, offset);
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
