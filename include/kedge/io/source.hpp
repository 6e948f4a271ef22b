// Source: where a file's bytes come from: a path, memory that the caller keeps alive, or a read
// callback. Readers check every bound against size() themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kedge/core/buffer.hpp"
#include "kedge/core/os/file.hpp"
#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::io {

// Reads exactly bytes.size() bytes at `offset`; false when it cannot.
using ReadFunction = bool (*)(void* context, std::uint64_t offset,
                              std::span<std::byte> bytes) noexcept;

// A range of a file: borrowed from the source's memory or mapping (valid as long as that), or
// copied into `owned`. Aligned to 8 bytes at least.
struct TensorBytes {
  const std::byte* data = nullptr;
  std::size_t size = 0;
  Buffer owned;  // empty when borrowed
};

class KEDGE_API Source {
 public:
  struct Options {
    // Maps the file, so that ranges are borrowed instead of copied. Then a program that shortens
    // the file makes this one fault; a file that is read gives an error instead.
    bool map = false;
  };

  // Opens a regular file; one that the system refuses to map is read.
  static Result<Source> open(const char* path, Options options) noexcept;
  static Result<Source> open(const char* path) noexcept { return open(path, Options{}); }
  // `bytes` must outlive the source; `name` appears in errors.
  static Source memory(std::span<const std::byte> bytes, const char* name = "memory") noexcept;
  // `read` must be callable as long as the source lives; a reader calls it from one thread.
  static Source callback(ReadFunction read, void* context, std::uint64_t size,
                         const char* name = "callback") noexcept;

  const char* name() const noexcept { return name_; }
  std::uint64_t size() const noexcept { return size_; }
  // Of a path's file: when it was last written, in nanoseconds of the system's clock; else 0.
  std::int64_t modified() const noexcept { return file_.modified(); }
  // The bytes themselves when they are in memory or mapped, else null.
  const std::byte* mapped() const noexcept { return mapped_; }
  // Copies bytes.size() bytes at `offset`; an error names the source, the range and the size.
  Status read(std::uint64_t offset, std::span<std::byte> bytes) const noexcept;
  // The range in the cheapest way: borrowed when it is in memory and aligned to 8 bytes, else
  // copied.
  Result<TensorBytes> load(std::uint64_t offset, std::uint64_t size,
                           const Allocator& allocator = default_allocator()) const noexcept;

 private:
  Status check(std::uint64_t offset, std::uint64_t size) const noexcept;

  char name_[128] = {};
  std::uint64_t size_ = 0;
  const std::byte* mapped_ = nullptr;
  os::ReadFile file_;
  ReadFunction read_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace kedge::inline KEDGE_ABI::io
