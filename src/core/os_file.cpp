// POSIX.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>

#include "kedge/core/os/file.hpp"

namespace kedge::inline KEDGE_ABI::os {
namespace {

// strerror_r returns text in one C library and a status in another; this takes either.
[[maybe_unused]] const char* text_of(const char* returned, const char*) { return returned; }
[[maybe_unused]] const char* text_of(int, const char* buffer) { return buffer; }

Unexpected system_error(const char* path, const char* action, int number) noexcept {
  char place[128], text[128] = "unknown error";
  shorten_path(path, place);
  const Code code = number == ENOENT || number == ENOTDIR ? Code::not_found
                    : number == ENOMEM                    ? Code::out_of_memory
                                                          : Code::io;
  return fail(code, place, "%s: %s", action, text_of(strerror_r(number, text, sizeof text), text));
}

int as_int(std::intptr_t handle) noexcept { return static_cast<int>(handle); }

// Linux transfers at most 2 GiB - 4 KiB per call; other systems refuse more than INT_MAX.
constexpr std::size_t largest_transfer = std::size_t{1} << 30;

}  // namespace

void shorten_path(const char* path, std::span<char> out) noexcept {
  const std::size_t length = std::strlen(path);
  if (length < out.size()) std::snprintf(out.data(), out.size(), "%s", path);
  else std::snprintf(out.data(), out.size(), "...%s", path + (length - (out.size() - 4)));
}

bool is_directory(const char* path) noexcept {
  struct stat status;
  return ::stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

Result<ReadFile> ReadFile::open(const char* path) noexcept {
  char place[128];
  shorten_path(path, place);
  int handle = -1;
  // Without O_NONBLOCK, opening a pipe would wait for somebody to write to it.
  do handle = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  while (handle < 0 && errno == EINTR);
  if (handle < 0) return system_error(path, "cannot open the file", errno);
  ReadFile file;
  file.handle_ = handle;
  struct stat status;
  if (::fstat(handle, &status) != 0) return system_error(path, "cannot inspect the file", errno);
  if (S_ISDIR(status.st_mode)) return fail(Code::io, place, "expected a file, found a directory");
  if (!S_ISREG(status.st_mode))
    return fail(Code::io, place, "expected a regular file, found a device, pipe or socket");
  if (status.st_size == 0) return fail(Code::malformed, place, "the file is empty");
  file.size_ = static_cast<std::uint64_t>(status.st_size);
#if defined(__APPLE__)
  const auto& time = status.st_mtimespec;
#else
  const auto& time = status.st_mtim;
#endif
  file.modified_ = std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  return file;
}

ReadFile::~ReadFile() {
  if (map_ != nullptr) ::munmap(map_, static_cast<std::size_t>(size_));
  if (handle_ >= 0) ::close(as_int(handle_));
}

const std::byte* ReadFile::map() noexcept {
  if (map_ != nullptr || handle_ < 0) return map_;
  if (size_ > std::numeric_limits<std::size_t>::max()) return nullptr;
  void* memory =
      ::mmap(nullptr, static_cast<std::size_t>(size_), PROT_READ, MAP_PRIVATE, as_int(handle_), 0);
  if (memory != MAP_FAILED) map_ = static_cast<std::byte*>(memory);
  return map_;
}

Status ReadFile::read(std::uint64_t offset, std::span<std::byte> bytes,
                      const char* name) const noexcept {
  while (!bytes.empty()) {
    const auto count =
        ::pread(as_int(handle_), bytes.data(), std::min(bytes.size(), largest_transfer),
                static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(name, "cannot read the file", errno);
    if (count == 0)
      return fail(Code::io, name, "expected %zu more bytes at offset %llu, found the file's end",
                  bytes.size(), static_cast<unsigned long long>(offset));
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<WriteFile> WriteFile::create(const char* path) noexcept {
  char place[128];
  shorten_path(path, place);
  struct stat status;
  if (::stat(path, &status) == 0 && !S_ISREG(status.st_mode))
    return fail(Code::io, place, "cannot replace it: expected a regular file or none, found %s",
                S_ISDIR(status.st_mode) ? "a directory" : "a device, pipe or socket");
  WriteFile file;
  const std::size_t length = std::strlen(path), room = length + 32;
  file.paths_.reset(new (std::nothrow) char[length + 1 + room]);
  if (file.paths_ == nullptr)
    return fail(Code::out_of_memory, place, "cannot allocate %zu bytes", length + 1 + room);
  std::memcpy(file.paths_.get(), path, length + 1);
  file.temporary_ = length + 1;
  int handle = -1;
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::snprintf(file.paths_.get() + file.temporary_, room, "%s.%ld.%d.part", path,
                  static_cast<long>(::getpid()), attempt);
    handle = ::open(file.temporary_path(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (handle >= 0 || (errno != EEXIST && errno != EINTR)) break;
  }
  if (handle < 0) return system_error(path, "cannot create the file", errno);
  file.handle_ = handle;
  return file;
}

WriteFile::~WriteFile() {
  if (handle_ < 0) return;
  ::close(as_int(handle_));
  ::unlink(temporary_path());
}

Status WriteFile::write(std::span<const std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const auto count =
        ::write(as_int(handle_), bytes.data(), std::min(bytes.size(), largest_transfer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(path(), "cannot write the file", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Status WriteFile::commit() noexcept {
  const int handle = as_int(std::exchange(handle_, -1));
  // A full disk of a network file system is reported only here.
  if (::close(handle) != 0 && errno != EINTR) {
    const int number = errno;
    ::unlink(temporary_path());
    return system_error(path(), "cannot write the file", number);
  }
  if (::rename(temporary_path(), path()) != 0) {
    const int number = errno;
    ::unlink(temporary_path());
    return system_error(path(), "cannot give the file its name", number);
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::os
