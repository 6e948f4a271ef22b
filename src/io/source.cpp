#include "kedge/io/source.hpp"

#include <cstring>
#include <limits>

namespace kedge::inline KEDGE_ABI::io {

Result<Source> Source::open(const char* path, Options options) noexcept {
  KEDGE_TRY(os::ReadFile file, os::ReadFile::open(path));
  Source source;
  os::shorten_path(path, source.name_);
  source.size_ = file.size();
  if (options.map) source.mapped_ = file.map();
  source.file_ = std::move(file);
  return source;
}

Source Source::memory(std::span<const std::byte> bytes, const char* name) noexcept {
  // Null means "not in memory", so an empty span without a pointer gets one that is never read.
  static constexpr std::byte nothing{};
  Source source;
  os::shorten_path(name, source.name_);
  source.size_ = bytes.size();
  source.mapped_ = bytes.data() != nullptr ? bytes.data() : &nothing;
  return source;
}

Source Source::callback(ReadFunction read, void* context, std::uint64_t size,
                        const char* name) noexcept {
  Source source;
  os::shorten_path(name, source.name_);
  source.size_ = size;
  source.read_ = read;
  source.context_ = context;
  return source;
}

Status Source::check(std::uint64_t offset, std::uint64_t size) const noexcept {
  if (offset <= size_ && size <= size_ - offset) return {};
  return fail(Code::malformed, name_, "expected %llu bytes at offset %llu, found %llu bytes in all",
              static_cast<unsigned long long>(size), static_cast<unsigned long long>(offset),
              static_cast<unsigned long long>(size_));
}

Status Source::read(std::uint64_t offset, std::span<std::byte> bytes) const noexcept {
  KEDGE_CHECK(check(offset, bytes.size()));
  if (bytes.empty()) return {};
  if (mapped_ != nullptr) {
    std::memcpy(bytes.data(), mapped_ + offset, bytes.size());
    return {};
  }
  if (file_.is_open()) return file_.read(offset, bytes, name_);
  if (read_ == nullptr) return fail(Code::invalid_argument, name_, "the source has no bytes");
  if (!read_(context_, offset, bytes))
    return fail(Code::io, name_, "the read callback refused %zu bytes at offset %llu", bytes.size(),
                static_cast<unsigned long long>(offset));
  return {};
}

Result<TensorBytes> Source::load(std::uint64_t offset, std::uint64_t size,
                                 const Allocator& allocator) const noexcept {
  KEDGE_CHECK(check(offset, size));
  if (size > std::numeric_limits<std::size_t>::max())
    return fail(Code::out_of_memory, name_, "%llu bytes do not fit this machine's address space",
                static_cast<unsigned long long>(size));
  TensorBytes bytes;
  bytes.size = static_cast<std::size_t>(size);
  if (mapped_ != nullptr && reinterpret_cast<std::uintptr_t>(mapped_ + offset) % 8 == 0) {
    bytes.data = mapped_ + offset;
    return bytes;
  }
  KEDGE_TRY(bytes.owned, Buffer::create(bytes.size, name_, allocator));
  KEDGE_CHECK(read(offset, {bytes.owned.data(), bytes.size}));
  bytes.data = bytes.owned.data();
  return bytes;
}

}  // namespace kedge::inline KEDGE_ABI::io
