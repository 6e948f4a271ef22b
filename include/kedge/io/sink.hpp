// Sink: where a writer puts a file's bytes, front to back: a path, memory, or a write callback.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kedge/core/os/file.hpp"
#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::io {

// Takes all bytes; false when it cannot.
using WriteFunction = bool (*)(void* context, std::span<const std::byte> bytes) noexcept;

class KEDGE_API Sink {
 public:
  // Written beside `path` and renamed by finish(): a failure leaves an existing file as it was.
  static Result<Sink> create(const char* path) noexcept;
  // Appends to `bytes`, which must outlive the sink.
  static Sink memory(std::vector<std::byte>& bytes) noexcept;
  static Sink callback(WriteFunction write, void* context) noexcept;

  std::uint64_t position() const noexcept { return position_; }  // bytes written so far
  Status write(std::span<const std::byte> bytes) noexcept;
  Status pad(std::uint64_t count) noexcept;  // zeros
  Status finish() noexcept;                  // a path's file appears only now

 private:
  Sink() noexcept = default;
  os::WriteFile file_;
  std::vector<std::byte>* memory_ = nullptr;
  WriteFunction write_ = nullptr;
  void* context_ = nullptr;
  std::uint64_t position_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI::io
