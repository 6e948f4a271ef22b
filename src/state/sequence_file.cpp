// A sequence as bytes: twelve 64-bit words that say whose it is and how long, the pages in the
// order of their positions, the recurrent state (recurrent_file.cpp), and a digest. Little-endian,
// as every machine that Kedge runs on.
#include <array>
#include <cstring>

#include "kedge/core/hash.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "kedge/state/sequence.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr std::uint64_t magic = 0x315145534744454Bu;  // "KEDGSEQ1", read as bytes
// Of this file and of what kv_page.hpp and op/gated_delta.hpp say about the bytes of pages and
// states.
constexpr std::uint64_t version = 2;
constexpr const char* place = "saved sequence";

struct Field {
  const char* name;
  std::uint64_t value;
};
constexpr std::size_t fields = 10, words = fields + 2;  // then the length, then the digest of both

// The first letters of its name: numbers of elements may change.
std::uint64_t code_of(Element element) noexcept {
  std::uint64_t code = 0;
  const char* name = to_string(element);
  for (unsigned i = 0; i < 8 && name[i] != 0; ++i)
    code |= std::uint64_t{static_cast<unsigned char>(name[i])} << 8 * i;
  return code;
}

std::uint64_t code_of(const RecurrentShape& s) noexcept {
  Hash hash;
  for (const std::int64_t n :
       {s.layers, s.key_heads, s.value_heads, s.key_dim, s.value_dim, std::int64_t{s.channel_decay},
        std::int64_t{s.grouped}, s.channels, s.conv_width})
    hash.add_value(n);
  return hash.value();
}

// What must be equal for the bytes to mean the same.
std::array<Field, fields> identity(const KvPageLayout& layout, const RecurrentState* recurrent,
                                   std::uint64_t fingerprint) noexcept {
  const auto word = [](std::int64_t x) { return static_cast<std::uint64_t>(x); };
  return {
      {{"format", magic},
       {"version", version},
       {"fingerprint of the model", fingerprint},
       {"element of the cache", code_of(layout.element)},
       {"layers", word(layout.layers)},
       {"key/value heads", word(layout.kv_heads)},
       {"head size", word(layout.head_dim)},
       {"positions per page", word(page_positions)},
       {"bytes per page", layout.page_bytes()},
       {"shape of the recurrent state", recurrent == nullptr ? 0 : code_of(recurrent->shape())}}};
}

std::int64_t pages_of(std::int64_t length) noexcept {
  return (length + page_positions - 1) / page_positions;
}

}  // namespace

Status Sequence::save(io::Sink& sink, std::uint64_t fingerprint) const noexcept {
  if (open_) return fail(Code::busy, "sequence", "a transaction is open");
  const KvPageLayout& layout = cache_->layout();
  std::uint64_t head[words];
  const auto id = identity(layout, recurrent_, fingerprint);
  for (std::size_t i = 0; i < fields; ++i) head[i] = id[i].value;
  head[fields] = static_cast<std::uint64_t>(length_);
  head[fields + 1] = Hash::of(std::as_bytes(std::span(head, fields + 1)));
  KEDGE_CHECK(sink.write(std::as_bytes(std::span(head))));
  KEDGE_TRY(const Buffer copy, Buffer::create(layout.page_bytes(), place));
  const std::span<const std::byte> page{copy.data(), copy.size()};
  Hash digest;
  for (std::int64_t i = 0; i < pages_of(length_); ++i) {
    cache_->read_page(index_, i, copy.data());
    if (length_ - i * page_positions < page_positions)
      clear_positions(layout, copy.data(), length_ - i * page_positions);
    digest.add(page);
    KEDGE_CHECK(sink.write(page));
  }
  if (recurrent_ != nullptr) KEDGE_CHECK(recurrent_->save(index_, sink, digest));
  const std::uint64_t value = digest.value();
  return sink.write(std::as_bytes(std::span(&value, 1)));
}

Result<std::uint64_t> Sequence::load(const io::Source& source, std::uint64_t offset,
                                     std::uint64_t fingerprint, std::int64_t expected) noexcept {
  if (open_) return fail(Code::busy, "sequence", "a transaction is open");
  const KvPageLayout& layout = cache_->layout();
  std::uint64_t head[words];
  KEDGE_CHECK(source.read(offset, std::as_writable_bytes(std::span(head))));
  offset += sizeof head;
  const auto id = identity(layout, recurrent_, fingerprint);
  for (std::size_t i = 0; i < fields; ++i)
    if (head[i] != id[i].value)
      return fail(i == 0 ? Code::malformed : Code::unsupported, source.name(),
                  "saved sequence: %s: expected %llx, found %llx", id[i].name,
                  static_cast<unsigned long long>(id[i].value),
                  static_cast<unsigned long long>(head[i]));
  if (head[fields + 1] != Hash::of(std::as_bytes(std::span(head, fields + 1))))
    return fail(Code::malformed, source.name(), "saved sequence: its head was changed");
  if (head[fields] > static_cast<std::uint64_t>(cache_->positions()))
    return fail(
        Code::out_of_memory, source.name(), "saved sequence: %llu positions, the cache has %lld",
        static_cast<unsigned long long>(head[fields]), static_cast<long long>(cache_->positions()));
  const auto length = static_cast<std::int64_t>(head[fields]);
  const std::int64_t count = pages_of(length);
  if (expected >= 0 && length != expected)
    return fail(Code::malformed, source.name(),
                "saved sequence: expected %lld positions, found %lld",
                static_cast<long long>(expected), static_cast<long long>(length));
  if (count > cache_->free_pages())
    return fail(Code::out_of_memory, source.name(), "saved sequence: needs %lld pages, %lld free",
                static_cast<long long>(count), static_cast<long long>(cache_->free_pages()));
  // Into pages that belong to nobody.
  KEDGE_TRY(const Buffer copy, Buffer::create(layout.page_bytes(), place));
  const std::span<std::byte> page{copy.data(), copy.size()};
  Hash digest;
  for (std::int64_t i = 0; i < count; ++i) {
    KEDGE_CHECK(source.read(offset, page));
    cache_->write_free_page(i, page.data());
    digest.add(page);
    offset += page.size();
  }
  Buffer state;
  if (recurrent_ != nullptr) {
    KEDGE_TRY(state, recurrent_->read(source, offset, length, digest));
    offset += state.size();
  }
  std::uint64_t value = 0;
  KEDGE_CHECK(source.read(offset, std::as_writable_bytes(std::span(&value, 1))));
  if (value != digest.value())
    return fail(Code::malformed, source.name(), "saved sequence: its pages were changed");
  KEDGE_CHECK(cache_->adopt_free_pages(index_, count));
  if (recurrent_ != nullptr) recurrent_->adopt(index_, length, state);
  length_ = length;
  return offset + sizeof value;
}

}  // namespace kedge::inline KEDGE_ABI
