// Saved sequences: the same bytes come back, and files that are cut short, changed or of another
// model are errors that change nothing.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "kedge/core/hash.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "kedge/state/sequence.hpp"

namespace {

using namespace kedge;

constexpr std::uint64_t model = 0x1234567890ABCDEFu;

struct World {
  explicit World(KvCache::Options options = {.positions = 300}, std::int64_t layers = 2)
      : cache(*KvCache::create(layers, 2, 20, options)), sequence(*Sequence::create(cache)) {
    std::memset(cache.pool(), 0xAB, cache.bytes());
  }
  void append(std::int64_t count) {
    auto t = sequence.begin(count);
    ASSERT_TRUE(t && t->commit(count));
  }
  KvCache cache;
  Sequence sequence;
};

std::vector<std::byte> save(const Sequence& sequence) {
  std::vector<std::byte> bytes;
  auto sink = io::Sink::memory(bytes);
  EXPECT_TRUE(sequence.save(sink, model));
  return bytes;
}

Result<std::uint64_t> load(World& world, std::span<const std::byte> bytes,
                           std::uint64_t fingerprint = model) {
  return world.sequence.load(io::Source::memory(bytes, "file"), 0, fingerprint);
}

TEST(SequenceFile, ComesBackWithTheSameBytes) {
  for (const std::int64_t length : {0, 1, 63, 64, 65, 200, 300}) {
    World from, to;
    from.append(length);
    for (std::size_t i = 0; i < from.cache.bytes(); ++i)
      from.cache.pool()[i] = static_cast<std::byte>(i * 7 >> 3);
    const auto bytes = save(from.sequence);
    to.append(length < 100 ? 100 : 0);
    const auto end = load(to, bytes);
    ASSERT_TRUE(end) << end.error().reason;
    EXPECT_EQ(*end, bytes.size());
    EXPECT_EQ(to.sequence.length(), length);
    EXPECT_EQ(save(to.sequence), bytes) << length;
    to.append(300 - length);
    if (length == 0) continue;
    // The pages of committed positions, key by key.
    const KvPageLayout& layout = from.cache.layout();
    for (std::int64_t p = 0; p < length; ++p)
      for (std::int64_t d = 0; d < 20; ++d) {
        const auto at = [&](const World& w) {
          const auto* block = reinterpret_cast<const std::uint16_t*>(w.cache.head_block(
              w.cache.page_table().row<std::int32_t>(w.sequence.index())[p / 64], 1, 1));
          return std::pair(block[layout.key_index(p % 64, d)],
                           block[layout.value_index(p % 64, d)]);
        };
        ASSERT_EQ(at(from), at(to)) << p;
      }
  }
}

// What other texts left in the pages goes into no file, whatever the cache is made of.
TEST(SequenceFile, HoldsNothingBeyondTheText) {
  for (const Element element : {Element::f32, Element::f16, Element::bf16, Element::q8_0}) {
    KvCache::Options options{.element = element, .positions = 300};
    std::vector<std::byte> files[2];
    for (int i = 0; i < 2; ++i) {
      // Neither does it matter in what order the pool holds its pages.
      if (i == 1) options.storage = default_allocator();
      auto cache = KvCache::create(2, 2, 32, options);
      ASSERT_TRUE(cache) << cache.error().reason;
      std::memset(cache->pool(), i == 0 ? 0xAB : 0x77, cache->bytes());
      auto sequence = Sequence::create(*cache);
      auto t = sequence->begin(70);
      ASSERT_TRUE(t && t->commit(70));
      const KvPageLayout& layout = cache->layout();
      for (std::int64_t p = 0; p < 70; ++p)
        for (std::int64_t block = 0; block < 4; ++block) {
          const std::int32_t page =
              cache->page_table().row<std::int32_t>(sequence->index())[p / 64];
          std::byte* head = cache->head_block(page, block / 2, block % 2);
          for_slot_bytes(layout, p % 64, [&](std::size_t offset, std::size_t bytes) {
            std::memset(head + offset, static_cast<int>(p), bytes);
          });
        }
      files[i] = save(*sequence);
      auto other = KvCache::create(2, 2, 32, options);
      auto loaded = Sequence::create(*other);
      ASSERT_TRUE(loaded->load(io::Source::memory(files[i], "file"), 0, model));
      EXPECT_EQ(save(*loaded), files[i]) << to_string(element);
    }
    EXPECT_EQ(files[0], files[1]) << to_string(element);
  }
}

TEST(SequenceFile, CutShortOrChangedItIsAnErrorThatChangesNothing) {
  World from, to;
  from.append(70);
  to.append(5);
  const auto bytes = save(from.sequence), before = save(to.sequence);
  const std::int64_t free_pages = to.cache.free_pages();
  const auto refused = [&](std::span<const std::byte> file, std::size_t at) {
    const auto loaded = load(to, file);
    ASSERT_FALSE(loaded) << at;
    ASSERT_EQ(std::string(loaded.error().place), "file") << at;
    ASSERT_EQ(to.sequence.length(), 5) << at;
    ASSERT_EQ(to.cache.free_pages(), free_pages) << at;
  };
  for (std::size_t size = 0; size < bytes.size(); size += size < 100 ? 1 : 997)
    refused(std::span(bytes).first(size), size);
  auto changed = bytes;
  for (std::size_t i = 0; i < bytes.size(); i += i < 100 ? 1 : 499) {
    changed[i] ^= std::byte{4};
    refused(changed, i);
    changed[i] ^= std::byte{4};
  }
  EXPECT_EQ(save(to.sequence), before);
  EXPECT_TRUE(load(to, changed));
}

TEST(SequenceFile, ForeignOnesAreNamed) {
  World from;
  from.append(70);
  const auto bytes = save(from.sequence);
  const auto refused = [&](World& world, std::uint64_t fingerprint, const char* word) {
    const auto loaded = load(world, bytes, fingerprint);
    ASSERT_FALSE(loaded);
    EXPECT_NE(std::string(loaded.error().reason).find(word), std::string::npos)
        << loaded.error().reason;
  };
  World same, f32({.element = Element::f32, .positions = 300}), deeper({.positions = 300}, 3),
      small({.positions = 69}), full({.positions = 300, .pages = 1});
  refused(same, model + 1, "fingerprint");
  refused(f32, model, "element");
  refused(deeper, model, "layers");
  refused(small, model, "70 positions");
  refused(full, model, "needs 2 pages, 1 free");
  EXPECT_TRUE(load(same, bytes));
}

// A head that lies about the length, with a digest that fits.
TEST(SequenceFile, LyingLengthsAreErrors) {
  World from, to;
  from.append(70);
  auto bytes = save(from.sequence);
  for (const std::uint64_t lie : {std::uint64_t{0}, std::uint64_t{10}, std::uint64_t{200},
                                  std::uint64_t{301}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    std::memcpy(bytes.data() + 10 * 8, &lie, 8);
    const std::uint64_t digest = Hash::of(std::span(bytes).first(11 * 8));
    std::memcpy(bytes.data() + 11 * 8, &digest, 8);
    EXPECT_FALSE(load(to, bytes)) << lie;
    EXPECT_EQ(to.sequence.length(), 0);
  }
}

}  // namespace
