// Files of the operating system. Together with the rest of core/os/ the only place that calls it;
// everything above works on bytes and Results. Paths are as the system takes them (UTF-8 on POSIX).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::os {

// A regular file open for reading, mapped or not. Closed and unmapped by the destructor.
class KEDGE_API ReadFile {
 public:
  // Errors say what is wrong: missing, a directory, not a regular file, empty, no permission.
  static Result<ReadFile> open(const char* path) noexcept;

  ReadFile() noexcept = default;
  ReadFile(ReadFile&& other) noexcept { swap(other); }
  ReadFile& operator=(ReadFile&& other) noexcept {
    ReadFile moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~ReadFile();

  bool is_open() const noexcept { return handle_ >= 0; }
  std::uint64_t size() const noexcept { return size_; }
  // When it was last written, in nanoseconds of the system's clock.
  std::int64_t modified() const noexcept { return modified_; }
  // Maps the whole file; null when the system refuses. The mapping lives as long as this object. A
  // file that another program shortens afterwards faults on access: read() is safe from that.
  const std::byte* map() noexcept;
  // Copies exactly bytes.size() bytes at `offset`; safe from several threads. `name` is the error's
  // place.
  Status read(std::uint64_t offset, std::span<std::byte> bytes, const char* name) const noexcept;

 private:
  void swap(ReadFile& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(size_, other.size_);
    std::swap(modified_, other.modified_);
    std::swap(map_, other.map_);
  }
  std::intptr_t handle_ = -1;
  std::uint64_t size_ = 0;
  std::int64_t modified_ = 0;
  std::byte* map_ = nullptr;
};

// A file being written. The bytes go to a temporary name beside it; commit() gives them the real
// one in one step, so that a failure (or a program that has the old file mapped) never sees half a
// file. Without commit() the destructor removes the temporary file.
class KEDGE_API WriteFile {
 public:
  // An existing `path` must be a regular file; it is replaced by commit().
  static Result<WriteFile> create(const char* path) noexcept;

  WriteFile() noexcept = default;
  WriteFile(WriteFile&& other) noexcept { swap(other); }
  WriteFile& operator=(WriteFile&& other) noexcept {
    WriteFile moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~WriteFile();

  Status write(std::span<const std::byte> bytes) noexcept;  // appends
  Status commit() noexcept;

 private:
  void swap(WriteFile& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(paths_, other.paths_);
    std::swap(temporary_, other.temporary_);
  }
  const char* path() const noexcept { return paths_.get(); }
  const char* temporary_path() const noexcept { return paths_.get() + temporary_; }

  std::intptr_t handle_ = -1;
  std::unique_ptr<char[]> paths_;  // the path, a zero, the temporary path, a zero
  std::size_t temporary_ = 0;
};

// False for anything else, also what is not there or may not be seen.
KEDGE_API bool is_directory(const char* path) noexcept;

// The end of `path`, as much as fits with its zero: the part that tells files apart in an error.
void shorten_path(const char* path, std::span<char> out) noexcept;

}  // namespace kedge::inline KEDGE_ABI::os
