// What the two families of matmul kernels (blocks and floats) share: the call in raw pointers, the
// walk over panels and column groups, and how results are stored. A "column" is a row of x.
#pragma once

#include <utility>

#include "kedge/kernel/cpu/matmul_task.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

// Weights are asked for this many bytes before they are used. With products between the loads, the
// processor's own prefetcher falls far behind the memory; 16 KiB covers its latency at full rate.
constexpr std::ptrdiff_t prefetch_ahead = 17 * 1024;
// Panels that are streamed from memory at a time: several streams keep more of a core's requests
// under way than one. One core of a Sapphire Rapids reads 15.5 GB/s with one stream and 17.3 with
// four; it computes on a strip of one panel meanwhile, so each step asks for a little of all four.
constexpr int streams = 4;
// Panels of this size together stay in L2 while all column groups pass over them.
constexpr std::size_t tile_bytes = 256 * 1024;
// Columns of one pass over a panel. Scalar code gains nothing from several and takes long to build.
#if defined(KEDGE_ISA_IS_scalar)
constexpr int pass_columns = 1;
#else
constexpr int pass_columns = max_columns;
#endif

// An unrolled body must never become a function of its own, not even without optimization.
#define KEDGE_LAMBDA __attribute__((always_inline))

template <int value_>
struct Index {
  static constexpr int value = value_;
  KEDGE_INLINE constexpr operator int() const { return value; }
};
template <class F, int... i>
KEDGE_INLINE void unrolled_over(F& f, std::integer_sequence<int, i...>) {
  (f(Index<i>{}), ...);
}
// f(0), f(1), ...: straight-line code, so that arrays of vectors become registers. A body that
// needs its index at compile time takes `auto`; `int` builds faster.
template <int count, class F>
KEDGE_INLINE void unrolled(F&& f) {
  unrolled_over(f, std::make_integer_sequence<int, count>{});
}

struct Task : MatmulTask {
  const std::byte* weight_end;  // of this worker's panels: nothing behind it is worth fetching

  KEDGE_INLINE Task(const MatmulTask& task, std::size_t end)
      : MatmulTask(task),
        weight_end(weight + (worth_fetching > end ? worth_fetching : end) * panel_bytes) {}
};
// Computes `columns` rows of y from `row` for panels [begin, end). `ahead` is prefetch_ahead, or 0
// when the panels are in the cache already.
using Pass = void (*)(const Task&, std::int64_t begin, std::int64_t end, std::int64_t row,
                      int columns, std::ptrdiff_t ahead) noexcept;

// What a strip asks the memory for: so many bytes of every stream with each of its steps.
struct Fetch {
  const std::byte* next[streams];
  std::size_t bytes;
};
// From byte `at` of `panels` panels that are streamed from `weight` on: behind a panel's end a
// stream goes on in the next group of panels.
KEDGE_INLINE Fetch fetch_from(const Task& t, const std::byte* weight, int panels, std::size_t at,
                              std::size_t bytes) {
  Fetch fetch;
  fetch.bytes = bytes;
  if (at >= t.panel_bytes) at += static_cast<std::size_t>(panels - 1) * t.panel_bytes;
  for (int s = 0; s < streams; ++s) {
    const std::byte* p = weight + static_cast<std::size_t>(s < panels ? s : 0) * t.panel_bytes + at;
    fetch.next[s] = p < t.weight_end ? p : t.weight_end - 1;
  }
  return fetch;
}
struct Fetched {
  std::size_t asked = 0, done = 0;  // bytes of every stream
};
KEDGE_INLINE void fetch_step(const Fetch& fetch, Fetched& f) {
  for (f.asked += fetch.bytes; f.done < f.asked; f.done += 64)
    unrolled<streams>([&](int s) KEDGE_LAMBDA { prefetch(fetch.next[s] + f.done); });
}

// Stores 16 outputs (fewer in the last panel) of `columns` rows. Once per panel, so it is a loop:
// unrolled it would be most of the code.
KEDGE_INLINE void store_outputs(const Task& t, std::int64_t panel, std::int64_t row,
                                const float (*sums)[16], int columns) {
  const std::int64_t first = panel * panel_rows;
  const auto left = static_cast<int>(t.outputs - first < 16 ? t.outputs - first : 16);
  for (int c = 0; c < columns; ++c) {
    const std::int64_t at = (row + c) * t.y_stride + first;
    F32x16 sum = load(sums[c]);
    if (t.residual != nullptr)
      sum = add(sum, load_first(t.residual + (row + c) * t.residual_stride + first, left));
    store_first(t.y + at, sum, left);
  }
}

// The table of a family's passes by columns: 1, 2, ... have bodies of their own.
template <class Passes, int... i>
KEDGE_INLINE Pass pass_at(int columns, std::integer_sequence<int, i...>) {
  constexpr Pass passes[] = {Passes::template pass<i + 1>...};
  return passes[columns - 1];
}

// One pass reads each panel once, as it streams by; with more of them a tile of panels stays in L2,
// and a pass's activations in L1 or L2 while they cross the tile. Passes::next(left) is how many
// columns the next pass takes when `left` remain, Passes::of(columns) its body.
template <class Passes>
KEDGE_INLINE void walk(const Task& t, std::int64_t rows, std::size_t first, std::size_t last) {
  const auto begin = static_cast<std::int64_t>(first), end = static_cast<std::int64_t>(last);
  const auto fit = static_cast<std::int64_t>(tile_bytes / t.panel_bytes);
  const std::int64_t tile = Passes::next(rows) == rows ? end - begin : fit > 1 ? fit : 1;
  for (std::int64_t p = begin; p < end; p += tile)
    for (std::int64_t row = 0; row < rows;) {
      const int columns = Passes::next(rows - row);
      Passes::of(columns)(t, p, p + tile < end ? p + tile : end, row, columns,
                          row == 0 ? prefetch_ahead : 0);
      row += columns;
    }
}

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
