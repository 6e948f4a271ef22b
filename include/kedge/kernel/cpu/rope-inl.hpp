// rope micro-kernel. Plan, per row and head: 16 pairs at a time,
//   y0 = fma(x0, cos, -(x1 * sin)), y1 = fma(x1, cos, x0 * sin);
// both of a pair are loaded before either is stored, so y may be x. With sections a row's cosines
// and sines are gathered first, so that the heads see one row of a table as ever. Interleaved pairs
// are sorted into two small arrays, which the compiler turns into shuffles where it can.
#include "kedge/kernel/cpu/rope.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct Pair {
  F32x16 first, second;
};

KEDGE_INLINE Pair turn(Pair x, F32x16 cosine, F32x16 sine) {
  const F32x16 minus = mul(mul(x.second, sine), set1(-1.0f));
  return {fma(x.first, cosine, minus), fma(x.second, cosine, mul(x.first, sine))};
}

// `n` <= 16 pairs whose first values start at x[0] and second ones at x[half].
KEDGE_INLINE void turn_halves(const float* x, int half, const float* table, float* y, int n) {
  if (n == 16) {
    const Pair t = turn({load(x), load(x + half)}, load(table), load(table + half));
    store(y, t.first);
    store(y + half, t.second);
  } else {
    const Pair t = turn({load_first(x, n), load_first(x + half, n)}, load_first(table, n),
                        load_first(table + half, n));
    store_first(y, t.first, n);
    store_first(y + half, t.second, n);
  }
}

// `n` <= 16 pairs side by side from x[0].
KEDGE_INLINE void turn_interleaved(const float* x, int half, const float* table, float* y, int n) {
  alignas(64) float first[16] = {}, second[16] = {};
  for (int i = 0; i < n; ++i) {
    first[i] = x[2 * i];
    second[i] = x[2 * i + 1];
  }
  const Pair t =
      turn({load(first), load(second)}, load_first(table, n), load_first(table + half, n));
  store(first, t.first);
  store(second, t.second);
  for (int i = 0; i < n; ++i) {
    y[2 * i] = first[i];
    y[2 * i + 1] = second[i];
  }
}

// The table's row of this position; with sections gathered into `angles` from three of them.
KEDGE_INLINE const float* angles_of(const op::Rope::Args& a, std::int64_t row, float* angles) {
  const std::int32_t* position = a.position.as<std::int32_t>();
  if (!op::Rope::sectioned(a)) return a.table.row<float>(position[row]);
  position += row * 3;
  const int half = op::Rope::rotary_dims(a) / 2;
  for (int i = 0; i < half; ++i) {
    const float* table = a.table.row<float>(position[op::Rope::stream(a, i)]);
    angles[i] = table[i];
    angles[half + i] = table[half + i];
  }
  return angles;
}

template <bool interleaved>
void rope_rows(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::Rope::Args*>(args);
  const auto width = static_cast<int>(a.x.width());
  const int head_dim = a.head_dim, rotary = op::Rope::rotary_dims(a), half = rotary / 2;
  float angles[op::Rope::max_sectioned_dims];
  for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
    const float* table = angles_of(a, r, angles);
    for (int h = 0; h < width; h += head_dim) {
      const float* x = a.x.row<float>(r) + h;
      float* y = a.y.row<float>(r) + h;
      for (int i = 0; i < half; i += 16) {
        const int n = half - i < 16 ? half - i : 16;
        if constexpr (interleaved) turn_interleaved(x + 2 * i, half, table + i, y + 2 * i, n);
        else turn_halves(x + i, half, table + i, y + i, n);
      }
      if (x != y)
        for (int i = rotary; i < head_dim; ++i) y[i] = x[i];
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const RopeUnit KEDGE_UNIT(rope);
const RopeUnit KEDGE_UNIT(rope) = {KEDGE_ISA::rope_rows<false>, KEDGE_ISA::rope_rows<true>};

}  // namespace kedge::inline KEDGE_ABI::cpu
