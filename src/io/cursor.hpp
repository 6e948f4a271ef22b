// Cursor: reads a Source from front to back. A source in memory is read in place, another in
// chunks, so that no field costs a call of its own. Private to the compiled library.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "io/shown.hpp"
#include "kedge/io/source.hpp"

namespace kedge::inline KEDGE_ABI::io {

static_assert(std::endian::native == std::endian::little, "fields are copied, not byte-swapped");

class Cursor {
 public:
  static constexpr std::size_t chunk_bytes = std::size_t{64} << 10;

  explicit Cursor(const Source& source) noexcept : source_(source) {}

  const char* file() const noexcept { return source_.name(); }
  std::uint64_t position() const noexcept { return position_; }
  std::uint64_t left() const noexcept { return source_.size() - position_; }

  // What is being read, for errors: subject("key", name) -> "key 'name'".
  void subject(const char* kind, std::string_view name) noexcept {
    std::snprintf(subject_, sizeof subject_, "%s '%s'", kind, Shown(name).text());
  }
  void subject(const char* text) noexcept { std::snprintf(subject_, sizeof subject_, "%s", text); }
  const char* subject() const noexcept { return subject_; }

  // The next `size` bytes, size <= chunk_bytes; valid until the next call.
  Result<const std::byte*> take(std::size_t size) noexcept {
    if (size > left())
      return fail(Code::malformed, file(),
                  "%s: expected %zu bytes at offset %llu, found the file's end at %llu", subject_,
                  size, static_cast<unsigned long long>(position_),
                  static_cast<unsigned long long>(source_.size()));
    if (source_.mapped() != nullptr) {
      const std::byte* bytes = source_.mapped() + position_;
      position_ += size;
      return bytes;
    }
    if (position_ < chunk_start_ || position_ + size > chunk_start_ + chunk_size_)
      KEDGE_CHECK(refill());
    const std::byte* bytes = chunk_.data() + (position_ - chunk_start_);
    position_ += size;
    return bytes;
  }

  template <class T>
  Result<T> value() noexcept {
    KEDGE_TRY(const std::byte* bytes, take(sizeof(T)));
    T result;
    std::memcpy(&result, bytes, sizeof(T));
    return result;
  }

  // A count of things that take at least `least_bytes` each: more than fit into the rest of the
  // file is an error, before anybody allocates for them.
  Result<std::uint64_t> count(const char* what, std::uint64_t least_bytes) noexcept {
    KEDGE_TRY(const std::uint64_t found, value<std::uint64_t>());
    if (found > left() / least_bytes)
      return fail(Code::malformed, file(),
                  "%s: expected at most %llu %s in the %llu bytes left, found %llu", subject_,
                  static_cast<unsigned long long>(left() / least_bytes), what,
                  static_cast<unsigned long long>(left()), static_cast<unsigned long long>(found));
    return found;
  }

  // A string: 64-bit length, bytes. Grows as bytes arrive, because a callback's size may be a lie
  // too. Throws what std::string throws.
  Result<std::string> string(std::uint64_t longest) {
    KEDGE_TRY(std::uint64_t length, count("bytes of text", 1));
    if (length > longest)
      return fail(Code::malformed, file(), "%s: expected at most %llu bytes of text, found %llu",
                  subject_, static_cast<unsigned long long>(longest),
                  static_cast<unsigned long long>(length));
    std::string text;
    while (length != 0) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(length, chunk_bytes));
      KEDGE_TRY(const std::byte* bytes, take(part));
      text.append(reinterpret_cast<const char*>(bytes), part);
      length -= part;
    }
    return text;
  }

 private:
  Status refill() noexcept {
    if (chunk_.size() == 0) {
      KEDGE_TRY(chunk_, Buffer::create(chunk_bytes, "reading a file"));
    }
    chunk_start_ = position_;
    chunk_size_ = 0;
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left(), chunk_bytes));
    KEDGE_CHECK(source_.read(position_, {chunk_.data(), size}));
    chunk_size_ = size;
    return {};
  }

  const Source& source_;
  std::uint64_t position_ = 0;
  Buffer chunk_;
  std::uint64_t chunk_start_ = 0, chunk_size_ = 0;
  char subject_[128] = "header";
};

}  // namespace kedge::inline KEDGE_ABI::io
