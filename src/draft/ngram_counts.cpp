// NgramCounts in files.
#include "kedge/draft/ngram_counts.hpp"

#include <cstring>

#include "io/cursor.hpp"
#include "kedge/core/hash.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

constexpr char magic[8] = {'k', 'e', 'd', 'g', 'e', 'n', 'g', 'r'};
constexpr std::uint32_t version = 1;
constexpr std::size_t head_bytes = 32, ngram_bytes = 20, follower_bytes = 8, digest_bytes = 8;

static_assert(std::endian::native == std::endian::little, "fields are copied, not byte-swapped");

// Writes and digests what it writes.
struct Writer {
  io::Sink& sink;
  Hash hash;

  template <class T>
  Status put(const T& value) noexcept {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    hash.add(bytes);
    return sink.write(bytes);
  }
};

struct Reader {
  io::Cursor cursor;
  Hash hash;

  explicit Reader(const io::Source& source) noexcept : cursor(source) {}
  template <class T>
  Result<T> get() noexcept {
    KEDGE_TRY(const std::byte* bytes, cursor.take(sizeof(T)));
    hash.add({bytes, sizeof(T)});
    T value;
    std::memcpy(&value, bytes, sizeof(T));
    return value;
  }
};

}  // namespace

Status NgramCounts::save(io::Sink& sink) const noexcept {
  Writer writer{sink, {}};
  for (const char c : magic) KEDGE_CHECK(writer.put(c));
  KEDGE_CHECK(writer.put(version));
  KEDGE_CHECK(writer.put(std::uint32_t{0}));
  KEDGE_CHECK(writer.put(static_cast<std::uint64_t>(ngrams_)));
  KEDGE_CHECK(writer.put(static_cast<std::uint64_t>(used_)));
  for (const Ngram& ngram : slots_) {
    if (ngram.total == 0) continue;
    for (const std::int32_t token : ngram.key) KEDGE_CHECK(writer.put(token));
    std::uint32_t count = 0;
    for (std::int32_t f = ngram.first; f >= 0; f = followers_[index(f)].next) ++count;
    KEDGE_CHECK(writer.put(count));
    for (std::int32_t f = ngram.first; f >= 0; f = followers_[index(f)].next) {
      KEDGE_CHECK(writer.put(followers_[index(f)].token));
      KEDGE_CHECK(writer.put(followers_[index(f)].count));
    }
  }
  const std::uint64_t digest = writer.hash.value();
  return sink.write(std::as_bytes(std::span(&digest, 1)));
}

Result<NgramCounts> NgramCounts::load(const io::Source& source,
                                      const LoadOptions& options) noexcept {
  Reader reader(source);
  io::Cursor& cursor = reader.cursor;
  const auto bad = [&](const char* what, auto expected, auto found) {
    return fail(Code::malformed, source.name(), "%s: expected %lld, found %lld", what,
                static_cast<long long>(expected), static_cast<long long>(found));
  };
  for (const char c : magic) {
    KEDGE_TRY(const char found, reader.get<char>());
    if (found != c)
      return fail(Code::malformed, source.name(), "no file of n-gram counts: it does not begin so");
  }
  KEDGE_TRY(const std::uint32_t found_version, reader.get<std::uint32_t>());
  if (found_version != version) return bad("version", version, found_version);
  KEDGE_TRY(const std::uint32_t reserved, reader.get<std::uint32_t>());
  if (reserved != 0) return bad("reserved field", 0, reserved);
  KEDGE_TRY(const std::uint64_t ngrams, reader.get<std::uint64_t>());
  KEDGE_TRY(const std::uint64_t followers, reader.get<std::uint64_t>());
  // The sizes are settled before anything is allocated for them.
  const std::uint64_t body = source.size() - head_bytes;
  if (ngrams > body / ngram_bytes || followers > body / follower_bytes ||
      body != ngrams * ngram_bytes + followers * follower_bytes + digest_bytes)
    return fail(Code::malformed, source.name(),
                "%llu n-grams with %llu followers do not fill a file of %llu bytes",
                static_cast<unsigned long long>(ngrams), static_cast<unsigned long long>(followers),
                static_cast<unsigned long long>(source.size()));
  if (options.spare < 0) return bad("spare", 0, options.spare);
  KEDGE_TRY(NgramCounts counts,
            create({static_cast<std::int64_t>(ngrams) + options.spare,
                    static_cast<std::int64_t>(followers) + options.spare, options.allocator}));

  const auto token_in_range = [&](std::int32_t token) {
    return token >= 0 && (options.vocabulary == 0 || token < options.vocabulary);
  };
  const std::int64_t last = options.vocabulary > 0 ? options.vocabulary - 1 : 0x7FFFFFFF;
  for (std::uint64_t i = 0; i < ngrams; ++i) {
    char what[48];
    std::snprintf(what, sizeof what, "n-gram %llu", static_cast<unsigned long long>(i));
    cursor.subject(what);
    Key key;
    for (std::int32_t& token : key) {
      KEDGE_TRY(token, reader.get<std::int32_t>());
    }
    const auto tokens = used_part(key);
    for (const std::int32_t token : tokens)
      if (!token_in_range(token))
        return fail(Code::malformed, source.name(), "%s: expected tokens of 0..%lld, found %d",
                    what, static_cast<long long>(last), token);
    for (std::size_t unused = 0; unused + tokens.size() < key.size(); ++unused)
      if (key[unused] != -1) return bad(what, -1, key[unused]);
    if (counts.total(tokens) != 0)
      return fail(Code::malformed, source.name(), "%s comes twice", what);
    KEDGE_TRY(const std::uint32_t count, reader.get<std::uint32_t>());
    if (count == 0) return fail(Code::malformed, source.name(), "%s: nothing follows it", what);
    if (count > followers - counts.followers())
      return fail(Code::malformed, source.name(),
                  "%s: %u followers are more than the %llu that are left", what, count,
                  static_cast<unsigned long long>(followers - counts.followers()));
    std::uint64_t total = 0;
    for (std::uint32_t f = 0; f < count; ++f) {
      KEDGE_TRY(const std::int32_t token, reader.get<std::int32_t>());
      KEDGE_TRY(const std::uint32_t times, reader.get<std::uint32_t>());
      if (!token_in_range(token))
        return fail(Code::malformed, source.name(), "%s: expected followers of 0..%lld, found %d",
                    what, static_cast<long long>(last), token);
      total += times;
      if (times == 0 || total > most)
        return fail(Code::malformed, source.name(),
                    "%s: expected counts of 1 or more, together at most %u, found %u", what, most,
                    times);
      const std::size_t before = counts.followers();
      KEDGE_CHECK(counts.add(tokens, token, times));
      if (counts.followers() == before)
        return fail(Code::malformed, source.name(), "%s: follower %d comes twice", what, token);
    }
  }
  if (counts.followers() != followers) return bad("followers", followers, counts.followers());
  cursor.subject("digest");
  KEDGE_TRY(const std::uint64_t digest, cursor.value<std::uint64_t>());
  if (digest != reader.hash.value())
    return fail(Code::malformed, source.name(), "digest: the file's bytes were changed");
  return counts;
}

}  // namespace kedge::inline KEDGE_ABI::draft
