// top_k micro-kernel. An entry is one 64-bit key, value above and inverted index below, so that
// "larger value, then lower index" is one comparison. Plan:
//   1. per chunk of 4096 values: a sorted list of the k largest keys; 64 values at a time are
//      skipped when none exceeds the list's last. Shorter chunks leave zeros (below every key);
//   2. per row: the chunks' lists merged, each until its next key is too small.
#include "kedge/kernel/cpu/nan-inl.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"
#include "kedge/kernel/cpu/top_k.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

constexpr std::uint64_t nan_key = ~std::uint64_t{0};  // above every key: a NaN sorts to the front

KEDGE_INLINE std::uint64_t key_of(float value, std::uint32_t index) {
  std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
  if (bits == 0x80000000u) bits = 0;  // -0 is +0
  const std::uint32_t ordered = (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
  return std::uint64_t{ordered} << 32 | (0xFFFFFFFFu - index);
}
KEDGE_INLINE std::uint32_t index_of(std::uint64_t key) {
  return 0xFFFFFFFFu - static_cast<std::uint32_t>(key);
}
// Lists in scratch are i32 pairs; nothing is assumed of their alignment.
KEDGE_INLINE std::uint64_t get_key(const std::int32_t* list, std::int64_t i) {
  std::uint64_t key;
  __builtin_memcpy(&key, list + 2 * i, sizeof key);
  return key;
}

struct List {
  std::uint64_t key[op::TopK::max_k];  // descending
};

KEDGE_INLINE void insert(List& list, int k, std::uint64_t key) {
  int at = k - 1;
  for (; at > 0 && list.key[at - 1] < key; --at) list.key[at] = list.key[at - 1];
  list.key[at] = key;
}

KEDGE_INLINE bool holds_nan(const float* x, std::int64_t n) {
  F32x16 seen = zero();
  for (std::int64_t i = 0; i < n; i += 16)
    seen = note_nan(seen, i + 16 <= n ? load(x + i) : load_first(x + i, static_cast<int>(n - i)));
  return reduce_max(seen) > 0;
}

void top_k_chunks(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::TopK::Args*>(args);
  const int k = a.k;
  List list;
  for (std::size_t unit = begin; unit < end; ++unit) {
    const RowChunk c = row_chunk(unit, a.x.width(), search_chunk);
    const float* x = a.x.row<float>(c.row);
    for (int i = 0; i < k; ++i) list.key[i] = 0;
    if (holds_nan(x + c.begin, c.end - c.begin)) {
      list.key[0] = nan_key;
    } else {
      for (std::int64_t i = c.begin; i < c.end; i += 64) {
        const std::int64_t stop = i + 64 < c.end ? i + 64 : c.end;
        if (list.key[k - 1] != 0 && stop == i + 64) {
          const F32x16 largest =
              max(max(load(x + i), load(x + i + 16)), max(load(x + i + 32), load(x + i + 48)));
          if (!(reduce_max(largest) > x[index_of(list.key[k - 1])])) continue;
        }
        for (std::int64_t j = i; j < stop; ++j) {
          const std::uint64_t key = key_of(x[j], static_cast<std::uint32_t>(j));
          if (key > list.key[k - 1]) insert(list, k, key);
        }
      }
    }
    __builtin_memcpy(a.scratch.row<std::int32_t>(c.row) + c.index * k * 2, list.key,
                     static_cast<std::size_t>(k) * sizeof(std::uint64_t));
  }
}

void top_k_rows(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::TopK::Args*>(args);
  const int k = a.k;
  const std::int64_t chunks = chunk_count(a.x.width(), search_chunk);
  List list;
  for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
    const float* x = a.x.row<float>(r);
    const std::int32_t* lists = a.scratch.row<std::int32_t>(r);
    for (int i = 0; i < k; ++i) list.key[i] = 0;
    for (std::int64_t c = 0; c < chunks; ++c)
      for (std::int64_t i = c * k; i < (c + 1) * k; ++i) {
        const std::uint64_t key = get_key(lists, i);
        if (key <= list.key[k - 1]) break;
        insert(list, k, key);
      }
    const bool nan = list.key[0] == nan_key;
    for (int i = 0; i < k; ++i) {
      const std::uint32_t index = index_of(list.key[i]);
      a.index.row<std::int32_t>(r)[i] = nan ? -1 : static_cast<std::int32_t>(index);
      a.value.row<float>(r)[i] = nan ? __builtin_bit_cast(float, nan_bits) : x[index];
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const TopKUnit KEDGE_UNIT(top_k);
const TopKUnit KEDGE_UNIT(top_k) = {KEDGE_ISA::top_k_chunks, KEDGE_ISA::top_k_rows};

}  // namespace kedge::inline KEDGE_ABI::cpu
