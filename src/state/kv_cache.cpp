#include "kedge/state/kv_cache.hpp"

#include <cstring>

namespace kedge::inline KEDGE_ABI {

Result<KvCache> KvCache::create(std::int64_t layers, std::int64_t kv_heads, std::int64_t head_dim,
                                const Options& options) noexcept {
  constexpr const char* place = "key/value cache";
  KEDGE_CHECK(op::expect_cache_element(place, options.element, head_dim));
  if (options.positions < 1 || options.positions > (std::int64_t{1} << 28) ||
      options.sequences < 1 || options.sequences > 4096)
    return fail(Code::invalid_argument, place,
                "expected 1..2^28 positions and 1..4096 sequences, found %lld and %lld",
                static_cast<long long>(options.positions),
                static_cast<long long>(options.sequences));
  KvCache cache;
  cache.layout_ = {options.element, kv_heads, head_dim, layers};
  cache.positions_ = options.positions;
  cache.sequences_ = options.sequences;
  cache.max_pages_ = (options.positions + page_positions - 1) / page_positions;
  cache.pages_ = options.pages > 0 ? options.pages : cache.max_pages_ * options.sequences;
  const auto words = [](std::int64_t n) { return static_cast<std::size_t>(n) * 4; };
  cache.by_layer_ = options.storage.allocate != nullptr;
  const Allocator& storage = cache.by_layer_ ? options.storage : options.allocator;
  KEDGE_TRY(cache.memory_, Buffer::create(cache.layout_.pool_bytes(cache.pages_), place, storage));
  KEDGE_TRY(cache.table_,
            Buffer::zeroed(words(cache.max_pages_ * cache.sequences_), place, storage));
  KEDGE_TRY(cache.used_, Buffer::create(words(cache.sequences_), place, options.allocator));
  KEDGE_TRY(cache.free_, Buffer::create(words(cache.pages_), place, options.allocator));
  KEDGE_TRY(cache.shares_, Buffer::zeroed(words(cache.pages_), place, options.allocator));
  cache.allocator_ = options.allocator;
  for (std::int64_t s = 0; s < cache.sequences_; ++s) cache.used_.as<std::int32_t>()[s] = -1;
  for (std::int64_t p = 0; p < cache.pages_; ++p)  // page 0 on top
    cache.free_.as<std::int32_t>()[p] = static_cast<std::int32_t>(cache.pages_ - 1 - p);
  cache.free_count_ = cache.pages_;
  return cache;
}

Result<std::int32_t> KvCache::claim() noexcept {
  for (std::int64_t s = 0; s < sequences_; ++s)
    if (used_.as<std::int32_t>()[s] < 0) {
      used_.as<std::int32_t>()[s] = 0;
      return static_cast<std::int32_t>(s);
    }
  return fail(Code::busy, "key/value cache", "all %lld sequences are in use",
              static_cast<long long>(sequences_));
}

std::int32_t KvCache::take() noexcept {
  const std::int32_t number = free_.as<std::int32_t>()[--free_count_];
  shares_.as<std::int32_t>()[number] = 1;
  return number;
}

void KvCache::give_back(std::int32_t number) noexcept {
  if (--shares_.as<std::int32_t>()[number] == 0) free_.as<std::int32_t>()[free_count_++] = number;
}

void KvCache::release(std::int32_t sequence) noexcept {
  shorten(sequence, 0);
  used_.as<std::int32_t>()[sequence] = -1;
}

void KvCache::shorten(std::int32_t sequence, std::int64_t length) noexcept {
  std::int32_t& used = used_.as<std::int32_t>()[sequence];
  const std::int64_t kept = (length + page_positions - 1) / page_positions;
  while (used > kept) give_back(table(sequence)[--used]);
}

void KvCache::move_page(std::int64_t page, std::byte* memory, bool in) const noexcept {
  for (std::int64_t layer = 0; layer < layout_.layers; ++layer, memory += layer_bytes()) {
    std::byte* const part = layer_part(page, layer);
    std::memcpy(in ? part : memory, in ? memory : part, layer_bytes());
  }
}

void KvCache::move_row(std::int32_t sequence, std::int64_t from, std::int64_t to) noexcept {
  const std::int32_t source = table(sequence)[from / page_positions],
                     target = table(sequence)[to / page_positions];
  for (std::int64_t layer = 0; layer < layout_.layers; ++layer)
    for (std::int64_t head = 0; head < layout_.kv_heads; ++head)
      copy_slot(layout_, head_block(source, layer, head), from % page_positions,
                head_block(target, layer, head), to % page_positions);
  ++moved_rows_;
}

void KvCache::share(std::int32_t from, std::int32_t to, std::int64_t length) noexcept {
  const std::int64_t count = (length + page_positions - 1) / page_positions;
  for (std::int64_t i = 0; i < count; ++i) {
    table(to)[i] = table(from)[i];
    ++shares_.as<std::int32_t>()[table(from)[i]];
  }
  used_.as<std::int32_t>()[to] = static_cast<std::int32_t>(count);
}

Status KvCache::adopt_free_pages(std::int32_t sequence, std::int64_t count) noexcept {
  KEDGE_TRY(const Buffer taken,
            Buffer::create(static_cast<std::size_t>(count) * 4, "key/value cache", allocator_));
  for (std::int64_t i = 0; i < count; ++i) taken.as<std::int32_t>()[i] = take();
  shorten(sequence, 0);
  if (count > 0) std::memcpy(table(sequence), taken.data(), taken.size());
  used_.as<std::int32_t>()[sequence] = static_cast<std::int32_t>(count);
  return {};
}

Status KvCache::reserve(std::int32_t sequence, std::int64_t length, std::int64_t end) noexcept {
  if (end > positions_)
    return fail(Code::out_of_memory, "key/value cache",
                "position %lld is beyond the %lld that a sequence may have; create the session "
                "with a larger context",
                static_cast<long long>(end), static_cast<long long>(positions_));
  if (end <= length) return {};
  std::int32_t& used = used_.as<std::int32_t>()[sequence];
  std::int32_t* pages = table(sequence);
  const std::int32_t* shares = shares_.as<std::int32_t>();
  const std::int64_t first = length / page_positions;
  const std::int64_t needed = (end + page_positions - 1) / page_positions;
  std::int64_t wanted = needed > used ? needed - used : 0;
  for (std::int64_t i = first; i < used && i < needed; ++i) wanted += shares[pages[i]] > 1 ? 1 : 0;
  if (wanted > free_count_)
    return fail(Code::out_of_memory, "key/value cache", "needs %lld pages of %zu bytes, %lld free",
                static_cast<long long>(wanted), layout_.page_bytes(),
                static_cast<long long>(free_count_));
  for (std::int64_t i = first; i < used && i < needed; ++i) {
    if (shares[pages[i]] == 1) continue;
    const std::int32_t own = take();
    if (i == first && length % page_positions != 0) {  // it holds positions that stay
      for (std::int64_t layer = 0; layer < layout_.layers; ++layer)
        std::memcpy(layer_part(own, layer), layer_part(pages[i], layer), layer_bytes());
      ++copied_pages_;
    }
    give_back(pages[i]);
    pages[i] = own;
  }
  while (used < needed) pages[used++] = take();
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
