// matmul with float weights: one chain of fused multiply-adds per output, k ascending. Lanes are
// rows, so a vector of weights meets one broadcast activation. A chain advances one step per four
// cycles; with few columns several panels run side by side, so that memory stays the limit.
#pragma once

#include "kedge/kernel/cpu/matmul_task-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

// A kernel struct (kernel/cpu/matmul/FORMAT-inl.hpp) names its format and loads 16 weights.

constexpr int panels_at_once(int columns) {
  if (pass_columns == 1) return 1;
  if (pass_columns < 16) return columns == 1 ? 4 : columns == 2 ? 2 : 1;
  return columns <= 2 ? 4 : columns <= 11 ? 2 : 1;  // at most 32 registers, weights included
}

// `count` columns from `x`, which points at their first activation. Neighbours in the order of the
// code belong to different chains, so that none waits in the scheduler's queue for long.
template <int count, int columns, int panels, int steps>
KEDGE_INLINE void multiply_columns(const F32x16 (&w)[panels][steps], const std::byte* x,
                                   std::int64_t stride, F32x16 (&acc)[panels][columns], int first) {
  const std::byte* column[count];
  unrolled<count>([&](int c) KEDGE_LAMBDA {
    column[c] = c == 0 ? x : column[c - 1] + stride;
    asm("" : "+r"(column[c]));  // as in matmul_blocks-inl.hpp
  });
  unrolled<steps>([&](int i) KEDGE_LAMBDA {
    unrolled<count>([&](int c) KEDGE_LAMBDA {
      const F32x16 value = set1(reinterpret_cast<const float*>(column[c])[i]);
      unrolled<panels>(
          [&](int p) KEDGE_LAMBDA { acc[p][first + c] = fma(w[p][i], value, acc[p][first + c]); });
    });
  });
}

// `steps` values of k from `k`, for `panels` neighbouring panels.
template <class Format, int columns, int panels, int steps>
KEDGE_INLINE void multiply_steps(const typename Format::Stored* weight, std::int64_t panel_stride,
                                 std::int64_t k, const std::byte* x, std::int64_t stride,
                                 F32x16 (&acc)[panels][columns]) {
  F32x16 w[panels][steps];
  unrolled<panels>([&](int p) KEDGE_LAMBDA {
    unrolled<steps>([&](int i) KEDGE_LAMBDA {
      w[p][i] = Format::weights(weight + p * panel_stride + (k + i) * panel_rows);
    });
  });
  constexpr int side = 4, rest = columns % side;
  x += k * static_cast<std::int64_t>(sizeof(float));
  unrolled<columns / side>([&](int i) KEDGE_LAMBDA {
    multiply_columns<side>(w, x + i * side * stride, stride, acc, i * side);
  });
  if constexpr (rest > 0)
    multiply_columns<rest>(w, x + (columns - rest) * stride, stride, acc, columns - rest);
}

template <class Format, int columns, int panels>
KEDGE_INLINE void multiply_panels(const Task& t, std::int64_t panel, std::int64_t row,
                                  std::ptrdiff_t ahead) {
  using Stored = typename Format::Stored;
  constexpr int steps = 4;
  constexpr std::ptrdiff_t step_bytes = steps * 16 * sizeof(Stored);
  const auto bytes = static_cast<std::ptrdiff_t>(t.panel_bytes);
  const std::byte* first = t.weight + panel * bytes;
  const auto* weight = reinterpret_cast<const Stored*>(first);
  const std::int64_t panel_stride = t.width * panel_rows;
  const std::byte* x = t.x + row * t.x_stride;
  F32x16 acc[panels][columns];
  unrolled<panels>([&](int p) KEDGE_LAMBDA {
    unrolled<columns>([&](int c) KEDGE_LAMBDA { acc[p][c] = zero(); });
  });
  std::int64_t k = 0;
  for (; k + steps <= t.width; k += steps) {
    const auto at = static_cast<std::size_t>(k) * 16 * sizeof(Stored) +
                    static_cast<std::size_t>(ahead) / panels;
    unrolled<panels>([&](int p) KEDGE_LAMBDA {
      const std::byte* next = prefetch_at(t, first + p * bytes, at, panels);
      unrolled<step_bytes / 64>([&](int l) KEDGE_LAMBDA { prefetch(next + 64 * l); });
    });
    multiply_steps<Format, columns, panels, steps>(weight, panel_stride, k, x, t.x_stride, acc);
  }
  for (; k < t.width; ++k)
    multiply_steps<Format, columns, panels, 1>(weight, panel_stride, k, x, t.x_stride, acc);
  unrolled<panels>([&](int p) KEDGE_LAMBDA {
    alignas(64) float sums[columns][16];
    unrolled<columns>([&](int c) KEDGE_LAMBDA { store(sums[c], acc[p][c]); });
    store_outputs(t, panel + p, row, sums, columns);
  });
}

template <class Format, int columns>
void float_pass(const Task& t, std::int64_t begin, std::int64_t end, std::int64_t row, int,
                std::ptrdiff_t ahead) noexcept {
  constexpr int many = panels_at_once(columns);
  std::int64_t panel = begin;
  for (; panel + many <= end; panel += many)
    multiply_panels<Format, columns, many>(t, panel, row, ahead);
  if constexpr (many > 1)
    for (; panel < end; ++panel) multiply_panels<Format, columns, 1>(t, panel, row, ahead);
}

// Every body costs build time, and bodies for 9..15 columns would be half of it, so such a rest is
// halved: its second pass finds the panels in L2.
template <class Format>
struct FloatPasses {
  static constexpr int most = pass_columns < 8 ? pass_columns : 8;
  template <int columns>
  static constexpr Pass pass = float_pass<Format, columns>;

  KEDGE_INLINE static int next(std::int64_t left) {
    if (pass_columns == 16 && left >= 16) return 16;
    const std::int64_t passes = (left + most - 1) / most;
    return static_cast<int>((left + passes - 1) / passes);
  }
  KEDGE_INLINE static Pass of(int columns) {
    if constexpr (pass_columns == 16)
      if (columns == 16) return pass<16>;
    return pass_at<FloatPasses>(columns, std::make_integer_sequence<int, most>{});
  }
};

template <class Format>
void matmul_floats(const MatmulTask& task, std::int64_t rows, std::size_t begin,
                   std::size_t end) noexcept {
  walk<FloatPasses<Format>>(Task(task, end), rows, begin, end);
}

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
