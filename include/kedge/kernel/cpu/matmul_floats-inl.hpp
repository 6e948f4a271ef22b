// matmul with float weights: one chain of fused multiply-adds per output, k ascending. Lanes are
// rows, so a vector of weights meets one broadcast activation. A chain advances one step per four
// cycles, and the memory answers several streams sooner than one; so several panels run side by
// side, as many as have their sums in registers:
//   1. four panels are streamed at a time, in strips of k that stay in L1;
//   2. a strip is taken in turns: all groups of columns over some of its panels, then over the
//   next;
//   3. each turn asks for its share of the memory that all four will need, so that it never waits.
#pragma once

#include "kedge/kernel/cpu/matmul_task-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

// A kernel struct (kernel/cpu/matmul/FORMAT-inl.hpp) names its format and loads 16 weights.

// Columns of one pass, and those that have bodies of their own: 7 need more than 16 registers.
constexpr int most_float_columns = pass_columns == 1 ? 1 : 16;
constexpr int float_body_columns = pass_columns == 16 ? 8 : pass_columns < 6 ? pass_columns : 6;
constexpr int float_steps = 4;  // of k between two requests to the memory

// Whether there is a body for so many columns and panels side by side. Of 32 registers four panels
// of 6 columns take 24, two panels of 8 columns 16. More panels share a broadcast activation, more
// columns a weight, which costs up to two instructions to widen.
constexpr bool has_float_body(int columns, int panels) {
  if (panels == 1) return true;
  if (pass_columns < 16) return pass_columns > 1 && columns * panels == 4;
  return panels == 4 ? columns <= 6 : columns >= 6;
}
constexpr int panels_at_once(int columns) {
  return has_float_body(columns, 4) ? 4 : has_float_body(columns, 2) ? 2 : 1;
}
// The values of k whose weights are in registers together with the sums and a few activations.
constexpr int loaded_steps(int columns, int panels) {
  if (pass_columns < 16) return float_steps;
  int steps = float_steps;
  while (steps > 1 && panels * (columns + steps) > 28) steps /= 2;
  return steps;
}

// `steps` values of k. Neighbours in the order of the code belong to different chains, so that none
// waits in the scheduler's queue for long.
template <class Format, int columns, int panels, int steps>
KEDGE_INLINE void multiply_steps(const typename Format::Stored* weight, std::int64_t panel_stride,
                                 const std::byte* x, std::int64_t stride,
                                 F32x16 (&acc)[panels][columns]) {
  F32x16 w[panels][steps];
  unrolled<panels>([&](int p) KEDGE_LAMBDA {
    unrolled<steps>([&](int i) KEDGE_LAMBDA {
      w[p][i] = Format::weights(weight + p * panel_stride + i * panel_rows);
    });
  });
  // Two opaque pointers and two strides reach eight columns: a pointer for each would be as many
  // additions, and more registers than there are.
  static_assert(columns <= 8);
  const std::byte* second = x + stride;
  std::int64_t three = 3 * stride;
  asm("" : "+r"(second), "+r"(three));
  const auto column = [&](int c) KEDGE_LAMBDA {
    const std::byte* from = c == 1 || c == 5 || c == 7 ? second : x;
    return from + (c == 3             ? three
                   : c == 6 || c == 7 ? 2 * three
                   : c == 2           ? 2 * stride
                   : c == 4 || c == 5 ? 4 * stride
                                      : 0);
  };
  unrolled<steps>([&](int i) KEDGE_LAMBDA {
    unrolled<columns>([&](int c) KEDGE_LAMBDA {
      const F32x16 value = set1(reinterpret_cast<const float*>(column(c))[i]);
      unrolled<panels>([&](int p) KEDGE_LAMBDA { acc[p][c] = fma(w[p][i], value, acc[p][c]); });
    });
  });
}

// `width` values of k, the first of which `weight` and `x` point at, for neighbouring panels.
template <class Stored>
struct FloatStrip {
  const Stored* weight;
  std::int64_t panel_stride;  // values
  std::int64_t width;
  const std::byte* x;
  std::int64_t x_stride;     // bytes
  float (*sums)[16];         // of the columns, loaded and stored
  std::int64_t sums_stride;  // rows from panel to panel
  Fetch fetch;
};

template <class Format, int columns, int panels>
__attribute__((noinline)) void multiply_floats(
    const FloatStrip<typename Format::Stored>& s) noexcept {
  constexpr int loaded = loaded_steps(columns, panels);
  F32x16 acc[panels][columns];
  unrolled<panels>([&](int p) KEDGE_LAMBDA {
    unrolled<columns>([&](int c) KEDGE_LAMBDA { acc[p][c] = load(s.sums[p * s.sums_stride + c]); });
  });
  const auto* weight = s.weight;
  const std::byte* x = s.x;
  const auto take = [&](auto steps) KEDGE_LAMBDA {
    multiply_steps<Format, columns, panels, steps>(weight, s.panel_stride, x, s.x_stride, acc);
    weight += steps * panel_rows;
    x += steps * sizeof(float);
  };
  Fetched fetched;
  std::int64_t left = s.width;
  for (; left >= float_steps; left -= float_steps) {
    fetch_step(s.fetch, fetched);
    unrolled<float_steps / loaded>([&](int) KEDGE_LAMBDA { take(Index<loaded>{}); });
  }
  for (; left > 0; --left) take(Index<1>{});
  unrolled<panels>([&](int p) KEDGE_LAMBDA {
    unrolled<columns>([&](int c) KEDGE_LAMBDA { store(s.sums[p * s.sums_stride + c], acc[p][c]); });
  });
}

template <class Format>
using FloatBody = void (*)(const FloatStrip<typename Format::Stored>&) noexcept;
template <class Format, int columns, int panels>
constexpr FloatBody<Format> float_body() {
  if constexpr (has_float_body(columns, panels)) return multiply_floats<Format, columns, panels>;
  else return nullptr;
}
template <class Format, int... i>
KEDGE_INLINE FloatBody<Format> float_body_at(int columns, int panels,
                                             std::integer_sequence<int, i...>) {
  constexpr FloatBody<Format> one[] = {float_body<Format, i + 1, 1>()...},
                              two[] = {float_body<Format, i + 1, 2>()...},
                              four[] = {float_body<Format, i + 1, 4>()...};
  return (panels == 1 ? one : panels == 2 ? two : four)[columns - 1];
}

// One tile of at most `streams` panels. Columns beyond a body's go in groups of much the same size,
// the later of which find the strip in L1: so up to 16 columns cost the memory no more than one.
template <class Format>
KEDGE_INLINE void float_tile(const Task& t, std::int64_t panel, int panels, std::int64_t row,
                             int columns, std::ptrdiff_t ahead) {
  using Stored = typename Format::Stored;
  // A strip of a panel: with four of them and as much that is fetched, L1 has room for x.
  constexpr std::size_t strip_bytes = 4096, k_bytes = panel_rows * sizeof(Stored);
  constexpr auto strip_width = static_cast<std::int64_t>(strip_bytes / k_bytes);
  const int groups = (columns + float_body_columns - 1) / float_body_columns;
  const int most = panels_at_once((columns + groups - 1) / groups);
  const auto turns = static_cast<std::size_t>(groups * (panels / most + panels % most));
  const std::byte* weight = t.weight + static_cast<std::size_t>(panel) * t.panel_bytes;
  const auto panel_at = [&](int p) { return weight + static_cast<std::size_t>(p) * t.panel_bytes; };
  auto fetched = static_cast<std::size_t>(ahead) / static_cast<std::size_t>(panels);
  const std::size_t fetch = ahead == 0 ? 0 : float_steps * k_bytes / turns;
  alignas(64) float sums[streams * most_float_columns][16];
  __builtin_memset(sums, 0, sizeof sums[0] * static_cast<std::size_t>(panels * columns));
  for (std::int64_t k = 0; k < t.width; k += strip_width) {
    const std::int64_t width = strip_width < t.width - k ? strip_width : t.width - k;
    for (int p = 0, side; p < panels; p += side) {
      side = panels - p < most ? 1 : most;
      for (int g = 0, c = 0, count; g < groups; ++g, c += count) {
        count = (columns - c + groups - g - 1) / (groups - g);
        FloatStrip<Stored> s;
        s.weight = reinterpret_cast<const Stored*>(panel_at(p)) + k * panel_rows;
        s.panel_stride = t.width * panel_rows;
        s.width = width;
        s.x = t.x + (row + c) * t.x_stride + k * static_cast<std::int64_t>(sizeof(float));
        s.x_stride = t.x_stride;
        s.sums = sums + p * columns + c;
        s.sums_stride = columns;
        s.fetch = fetch_from(t, weight, panels, fetched, fetch);
        fetched += static_cast<std::size_t>(width) * k_bytes / turns;
        float_body_at<Format>(count, side,
                              std::make_integer_sequence<int, float_body_columns>{})(s);
      }
    }
  }
  for (int p = 0; p < panels; ++p) store_outputs(t, panel + p, row, sums + p * columns, columns);
}

template <class Format>
void float_pass(const Task& t, std::int64_t begin, std::int64_t end, std::int64_t row, int columns,
                std::ptrdiff_t ahead) noexcept {
  for (std::int64_t panel = begin; panel < end; panel += streams)
    float_tile<Format>(t, panel, static_cast<int>(end - panel < streams ? end - panel : streams),
                       row, columns, ahead);
}

template <class Format>
struct FloatPasses {
  KEDGE_INLINE static int next(std::int64_t left) {
    return static_cast<int>(left < most_float_columns ? left : most_float_columns);
  }
  KEDGE_INLINE static Pass of(int) { return float_pass<Format>; }
};

template <class Format>
void matmul_floats(const MatmulTask& task, std::int64_t rows, std::size_t begin,
                   std::size_t end) noexcept {
  walk<FloatPasses<Format>>(Task(task, end), rows, begin, end);
}

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
