// argmax micro-kernel. Plan:
//   1. per chunk of 4096 values: 16 lanes keep the first largest value each and where it stood, the
//      lanes are folded by (value, lowest index); a NaN is noted on the way;
//   2. per row: the first chunk whose best is largest.
// Only comparisons, so any order would give the same bytes.
#include "kedge/kernel/cpu/argmax.hpp"
#include "kedge/kernel/cpu/nan-inl.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

using Best = ArgmaxBest;

// The first largest value of each lane, and the entry at which the 16 that it is of begin.
struct Lanes {
  F32x16 best = set1(-__builtin_inff());
  I32x16 block = set1(std::int32_t{0});

  KEDGE_INLINE void see(F32x16 v, std::int32_t at) {
    const Mask16 larger = greater(v, best);
    best = select(larger, v, best);
    block = select(larger, set1(at), block);
  }
  // Those of other entries; of equal values the lower entry.
  KEDGE_INLINE void join(const Lanes& other) {
    const Mask16 later = greater(to_f32(block), to_f32(other.block));
    const I32x16 lower = select(later, other.block, block);
    block = select(greater(best, other.best), block, lower);
    const Mask16 larger = greater(other.best, best);
    block = select(larger, other.block, block);
    best = select(larger, other.best, best);
  }
};

Best best_of(const float* x, int n) noexcept {
  // A comparison waits for the one before it, so four of them are under way.
  constexpr int chains = 4;
  Lanes lanes[chains];
  F32x16 seen_nan = zero();
  int i = 0;
  for (; i + 16 * chains <= n; i += 16 * chains)
    for (int c = 0; c < chains; ++c) {
      const F32x16 v = load(x + i + 16 * c);
      seen_nan = note_nan(seen_nan, v);
      lanes[c].see(v, i + 16 * c);
    }
  for (; i < n; i += 16) {
    // Beyond the end -infinity, which never wins against an earlier entry.
    const F32x16 v = i + 16 <= n
                         ? load(x + i)
                         : select(first(n - i), load_first(x + i, n - i), set1(-__builtin_inff()));
    seen_nan = note_nan(seen_nan, v);
    lanes[0].see(v, i);
  }
  if (reduce_max(seen_nan) > 0) return {-1, __builtin_bit_cast(float, nan_bits)};
  for (int c = 1; c < chains; ++c) lanes[0].join(lanes[c]);
  float values[16];
  std::int32_t blocks[16];
  store(values, lanes[0].best);
  store(blocks, lanes[0].block);
  Best result{blocks[0], values[0]};
  for (int lane = 1; lane < 16; ++lane) {
    const std::int32_t index = blocks[lane] + lane;
    if (values[lane] > result.value || (values[lane] == result.value && index < result.index))
      result = {index, values[lane]};
  }
  result.value = x[result.index];  // lanes that only saw -infinity point at their first entry
  return result;
}

void argmax_chunks(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::Argmax::Args*>(args);
  for (std::size_t unit = begin; unit < end; ++unit) {
    const RowChunk c = row_chunk(unit, a.x.width(), search_chunk);
    const Best best = best_of(a.x.row<float>(c.row) + c.begin, static_cast<int>(c.end - c.begin));
    a.chunk_value.row<float>(c.row)[c.index] = best.value;
    a.chunk_index.row<std::int32_t>(c.row)[c.index] =
        best.index < 0 ? -1 : best.index + static_cast<std::int32_t>(c.begin);
  }
}

void argmax_rows(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::Argmax::Args*>(args);
  for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
    choose_chunk(a.chunk_value.row<float>(r), a.chunk_index.row<std::int32_t>(r),
                 a.chunk_index.width(), *a.value.row<float>(r), *a.index.row<std::int32_t>(r));
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const ArgmaxUnit KEDGE_UNIT(argmax);
const ArgmaxUnit KEDGE_UNIT(argmax) = {KEDGE_ISA::argmax_chunks, KEDGE_ISA::argmax_rows,
                                       KEDGE_ISA::best_of};

}  // namespace kedge::inline KEDGE_ABI::cpu
