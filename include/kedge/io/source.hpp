// Source: where a file's bytes come from: a path (mapped when the system can), memory that the
// caller keeps alive, or a read callback. Readers check every bound against size() themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kedge/core/buffer.hpp"
#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::io {

// Reads exactly bytes.size() bytes at `offset`; false when it cannot.
using ReadFunction = bool (*)(void* context, std::uint64_t offset,
                              std::span<std::byte> bytes) noexcept;

class KEDGE_API Source {
 public:
  // Opens and maps a regular file; falls back to reading when mapping is refused.
  static Result<Source> open(const char* path) noexcept;
  // `bytes` must outlive the source; `name` appears in errors.
  static Source memory(std::span<const std::byte> bytes, const char* name = "memory") noexcept;
  static Source callback(ReadFunction read, void* context, std::uint64_t size,
                         const char* name = "callback") noexcept;

  Source() noexcept = default;
  Source(Source&&) noexcept;
  Source& operator=(Source&&) noexcept;
  ~Source();

  const char* name() const noexcept { return name_; }
  std::uint64_t size() const noexcept { return size_; }
  // The bytes themselves when they are in memory or mapped, else null.
  const std::byte* mapped() const noexcept { return mapped_; }
  // Copies bytes.size() bytes at `offset`; an error names the source, the range and the size.
  Status read(std::uint64_t offset, std::span<std::byte> bytes) const noexcept;

 private:
  char name_[128] = {};
  std::uint64_t size_ = 0;
  const std::byte* mapped_ = nullptr;
  bool owns_map_ = false;
  int file_ = -1;
  ReadFunction read_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace kedge::inline KEDGE_ABI::io
