// Buffer: the only place where memory that grows with a file, a model, a context or a batch comes
// from. Allocation fails as a value, and the host may supply the allocator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI {

// allocate returns memory of `size` bytes aligned to `alignment`, or null. Contents are undefined.
// explain, where there is one, says why the last call returned null.
struct Allocator {
  void* (*allocate)(void* context, std::size_t size, std::size_t alignment) noexcept = nullptr;
  void (*deallocate)(void* context, void* memory, std::size_t size,
                     std::size_t alignment) noexcept = nullptr;
  void* context = nullptr;
  const char* (*explain)(void* context) noexcept = nullptr;
};

constexpr Allocator default_allocator() noexcept {
  return {[](void*, std::size_t size, std::size_t alignment) noexcept -> void* {
            return ::operator new (size, std::align_val_t{alignment}, std::nothrow);
          },
          [](void*, void* memory, std::size_t, std::size_t alignment) noexcept {
            ::operator delete (memory, std::align_val_t{alignment}, std::nothrow);
          },
          nullptr, nullptr};
}

class Buffer {
 public:
  static constexpr std::size_t alignment = 64;  // a cache line, and the widest vector

  // `purpose` names the memory in the error: "weights", "key/value cache", ...
  static Result<Buffer> create(std::size_t bytes, const char* purpose,
                               const Allocator& allocator = default_allocator()) noexcept {
    Buffer buffer;
    buffer.allocator_ = allocator;
    if (bytes == 0) return buffer;
    buffer.data_ =
        static_cast<std::byte*>(allocator.allocate(allocator.context, bytes, Buffer::alignment));
    if (buffer.data_ == nullptr && allocator.explain != nullptr)
      return fail(Code::out_of_memory, purpose, "cannot allocate %zu bytes: %s", bytes,
                  allocator.explain(allocator.context));
    if (buffer.data_ == nullptr)
      return fail(Code::out_of_memory, purpose, "cannot allocate %zu bytes", bytes);
    buffer.size_ = bytes;
    return buffer;
  }
  static Result<Buffer> zeroed(std::size_t bytes, const char* purpose,
                               const Allocator& allocator = default_allocator()) noexcept {
    auto buffer = create(bytes, purpose, allocator);
    if (buffer && bytes != 0) std::memset(buffer->data_, 0, bytes);
    return buffer;
  }

  Buffer() noexcept = default;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) allocator_.deallocate(allocator_.context, data_, size_, alignment);
  }

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  template <class T>
  T* as(std::size_t byte_offset = 0) const noexcept {
    return reinterpret_cast<T*>(data_ + byte_offset);
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(allocator_, other.allocator_);
  }
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  Allocator allocator_ = default_allocator();
};

}  // namespace kedge::inline KEDGE_ABI
