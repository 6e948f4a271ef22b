// kv_store micro-kernel. Plan, per 64 rows of one head:
//   1. values: a row is stored as it stands, 16 at a time, the padding as zeros;
//   2. keys: up to 16 rows are converted side by side, then written dimension by dimension, so that
//      neighbouring positions, which share a cache line of the transposed tile, are written
//      together.
#include "kedge/kernel/cpu/cached-inl.hpp"
#include "kedge/kernel/cpu/kv_store.hpp"
#include "kedge/kernel/cpu/round_q8-inl.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

// A row of `width` values as the cache has them, the last 16 filled with zeros.
template <class Cached, class E>
KEDGE_INLINE void convert(const float* x, int width, E* y) {
  int d = 0;
  for (; d + 16 <= width; d += 16) Cached::store(y + d, load(x + d));
  if (d < width) Cached::store(y + d, load_first(x + d, width - d));
}
// In Q8_0: quanta, and the scale of each 32 at a distance of `step`.
KEDGE_INLINE void convert_q8(const float* x, int width, std::int8_t* y, std::uint16_t* scales,
                             std::int64_t step) {
  for (int d = 0; d < width; d += 32) {
    BlockQ8Act block;
    round_block(load(x + d), load(x + d + 16), block);
    __builtin_memcpy(y + d, block.q, 32);
    scales[d / 32 * step] = f32_to_f16(block.d);
  }
}

template <class Cached>
void kv_store_rows_of_head(const void* args, const Launch& launch, std::size_t begin,
                           std::size_t end) noexcept {
  const auto& a = *static_cast<const op::KvStore::Args*>(args);
  const KvPageLayout layout = op::KvStore::layout(a);
  const int head_dim = a.head_dim;
  const auto* position = a.position.as<std::int32_t>();
  const auto* sequence = a.sequence.as<std::int32_t>();
  using E = typename Cached::Stored;
  constexpr int group = 16;
  alignas(64) E keys[group][256];
  E* target[group];
  for (auto unit = static_cast<std::int64_t>(begin); unit < static_cast<std::int64_t>(end);
       ++unit) {
    const std::int64_t head = unit % a.kv_heads;
    const std::int64_t first_row = unit / a.kv_heads * kv_store_rows;
    const std::int64_t last_row =
        first_row + kv_store_rows < launch.rows ? first_row + kv_store_rows : launch.rows;
    for (std::int64_t row = first_row; row < last_row; row += group) {
      const int count = last_row - row < group ? static_cast<int>(last_row - row) : group;
      for (int i = 0; i < count; ++i) {
        const std::int32_t at = position[row + i];
        const std::int32_t page = a.pages.row<std::int32_t>(sequence[row + i])[at / page_positions];
        const std::int64_t slot = at % page_positions;
        const float* k = a.k.row<float>(row + i) + head * head_dim;
        const float* v = a.v.row<float>(row + i) + head * head_dim;
        if constexpr (Cached::block > 0) {
          const Q8HeadBlock block = q8_head_block(a.cache, layout, page, head);
          const int scales = head_dim / Cached::block;
          convert_q8(v, head_dim, block.values + slot * head_dim,
                     block.value_scales + slot * scales, 1);
          convert_q8(k, head_dim, keys[i], block.key_scales + slot, page_positions);
          target[i] = block.keys + slot;
        } else {
          E* block = kv_head_block<E>(a.cache, layout, page, head);
          convert<Cached>(v, head_dim, block + layout.value_index(slot, 0));
          convert<Cached>(k, head_dim, keys[i]);
          target[i] = block + layout.key_index(slot, 0);
        }
      }
      for (int d = 0; d < head_dim; ++d)
        for (int i = 0; i < count; ++i) target[i][d * page_positions] = keys[i][d];
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const KvStoreUnit KEDGE_UNIT(kv_store);
const KvStoreUnit KEDGE_UNIT(kv_store) = {
    {KEDGE_ISA::kv_store_rows_of_head<KEDGE_ISA::CachedF32>,
     KEDGE_ISA::kv_store_rows_of_head<KEDGE_ISA::CachedF16>,
     KEDGE_ISA::kv_store_rows_of_head<KEDGE_ISA::CachedBF16>,
     KEDGE_ISA::kv_store_rows_of_head<KEDGE_ISA::CachedQ8_0>}};

}  // namespace kedge::inline KEDGE_ABI::cpu
