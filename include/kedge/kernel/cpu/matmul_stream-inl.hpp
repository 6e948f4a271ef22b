// The passes of matmul over weights in blocks: how many columns they take and in which order they
// read panels. The products themselves are in matmul_blocks-inl.hpp.
#pragma once

#include "kedge/kernel/cpu/matmul_blocks-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

// Columns of one pass, and those that have bodies of their own (max_columns of the vector layer).
constexpr int most_columns = pass_columns == 1 ? 1 : 16;
constexpr int body_columns = pass_columns;
constexpr int least_columns = body_columns < 2 ? 1 : body_columns / 2;  // of a group in wide_pass
// Sums are stored and loaded once per strip, so strips are longer where panels are in the cache,
// and where several groups of columns take longer than the memory, but for blocks of so many bytes
// that it takes as long.
constexpr int cached_strip_blocks = 8;
// Models as narrow as this are so small that what memory gains by short strips is less than what
// many columns lose by them.
constexpr std::int64_t narrow_width = 768;
template <class Format>
constexpr int wide_strip_blocks = Format::bytes < 512 ? 4 : 2;

template <class Format, int columns>
__attribute__((noinline)) void multiply_strip_there(const Task& t, const std::byte* panel,
                                                    std::int64_t first, std::int64_t last,
                                                    const typename Format::Super& super,
                                                    const std::byte* x, std::size_t ahead,
                                                    float (*sums)[16]) noexcept {
  multiply_strip<Format, columns>(t, panel, first, last, super, x, ahead, sums);
}
// With many columns a call is nothing beside the products, and passes share the bodies.
template <class Format, int columns>
KEDGE_INLINE void take_strip(const Task& t, const std::byte* panel, std::int64_t first,
                             std::int64_t last, const typename Format::Super& super,
                             const std::byte* x, std::size_t ahead, float (*sums)[16]) {
  if constexpr (columns >= least_columns)
    multiply_strip_there<Format, columns>(t, panel, first, last, super, x, ahead, sums);
  else multiply_strip<Format, columns>(t, panel, first, last, super, x, ahead, sums);
}

// Streams the panels, a strip of one after a strip of the next: strip(panel, first, last, super, s)
// takes blocks of 32 [first, last) of the s-th of them, store(panel, s) what has become of it.
template <class Format, int blocks, class Strip, class Store>
KEDGE_INLINE void stream_panels(const Task& t, std::int64_t begin, std::int64_t end, Strip strip,
                                Store store) {
  static_assert(Format::blocks == 1 || Format::blocks % blocks == 0);
  const std::int64_t all = t.width / 32;
  typename Format::Super super[streams];
  for (std::int64_t panel = begin; panel < end; panel += streams) {
    const auto count = static_cast<int>(end - panel < streams ? end - panel : streams);
    const std::byte* weight = t.weight + static_cast<std::size_t>(panel) * t.panel_bytes;
    const auto panel_of = [&](int s) KEDGE_LAMBDA {
      return weight + static_cast<std::size_t>(s) * t.panel_bytes;
    };
    for (std::int64_t i = 0; i < all; i += blocks) {
      if (Format::blocks > 1 && i % Format::blocks == 0)
        for (int s = 0; s < count; ++s)
          Format::super(
              panel_of(s) + static_cast<std::size_t>(i / Format::blocks) * super_bytes<Format>,
              super[s]);
      const std::int64_t end_of_strip = i + blocks < all ? i + blocks : all;
      for (int s = 0; s < count; ++s) strip(panel_of(s), i, end_of_strip, super[s], s);
    }
    for (int s = 0; s < count; ++s) store(panel + s, s);
  }
}

template <class Format, int columns, int strip>
KEDGE_INLINE void block_strips(const Task& t, std::int64_t begin, std::int64_t end,
                               std::int64_t row, std::ptrdiff_t ahead) {
  const std::byte* x = t.x + row * t.x_stride;
  alignas(64) float sums[streams][columns][16] = {};
  stream_panels<Format, strip>(
      t, begin, end,
      [&](const std::byte* panel, std::int64_t first, std::int64_t last,
          const typename Format::Super& super, int s) KEDGE_LAMBDA {
        take_strip<Format, columns>(t, panel, first, last, super, x,
                                    static_cast<std::size_t>(ahead) / streams, sums[s]);
      },
      [&](std::int64_t panel, int s) KEDGE_LAMBDA {
        store_outputs(t, panel, row, sums[s], columns);
        __builtin_memset(sums[s], 0, sizeof sums[s]);
      });
}
template <class Format, int columns>
void block_pass(const Task& t, std::int64_t begin, std::int64_t end, std::int64_t row, int,
                std::ptrdiff_t ahead) noexcept {
  if constexpr (columns >= least_columns)
    if (ahead == 0 || t.width <= narrow_width)
      return block_strips<Format, columns, cached_strip_blocks>(t, begin, end, row, ahead);
  block_strips<Format, columns, strip_blocks>(t, begin, end, row, ahead);
}

template <class Format, int... i>
KEDGE_INLINE auto strip_at(int columns, std::integer_sequence<int, i...>) {
  using Body =
      void (*)(const Task&, const std::byte*, std::int64_t, std::int64_t,
               const typename Format::Super&, const std::byte*, std::size_t, float(*)[16]) noexcept;
  constexpr Body bodies[] = {multiply_strip_there<Format, least_columns + i>...};
  return bodies[columns - least_columns];
}

// More columns than registers hold sums for: they take a strip in groups of much the same size, the
// second of which finds it in L1. So up to most_columns cost the memory no more than one.
template <class Format, int strip>
KEDGE_INLINE void wide_strips(const Task& t, std::int64_t begin, std::int64_t end, std::int64_t row,
                              int columns, std::ptrdiff_t ahead) {
  const std::byte* x = t.x + row * t.x_stride;
  const int groups = (columns + body_columns - 1) / body_columns;
  alignas(64) float sums[streams][most_columns][16] = {};
  stream_panels<Format, strip>(
      t, begin, end,
      [&](const std::byte* panel, std::int64_t first, std::int64_t last,
          const typename Format::Super& super, int s) KEDGE_LAMBDA {
        for (int g = 0, c = 0; g < groups; ++g) {
          const int count = (columns - c + groups - g - 1) / (groups - g);
          strip_at<Format>(count,
                           std::make_integer_sequence<int, body_columns - least_columns + 1>{})(
              t, panel, first, last, super, x + c * t.x_stride,
              g == 0 ? static_cast<std::size_t>(ahead) / streams : 0, sums[s] + c);
          c += count;
        }
      },
      [&](std::int64_t panel, int s) KEDGE_LAMBDA {
        store_outputs(t, panel, row, sums[s], columns);
        __builtin_memset(sums[s], 0, sizeof sums[s]);
      });
}
template <class Format>
void wide_pass(const Task& t, std::int64_t begin, std::int64_t end, std::int64_t row, int columns,
               std::ptrdiff_t ahead) noexcept {
  if (ahead > 0) wide_strips<Format, wide_strip_blocks<Format>>(t, begin, end, row, columns, ahead);
  else wide_strips<Format, cached_strip_blocks>(t, begin, end, row, columns, ahead);
}

template <class Format>
struct BlockPasses {
  template <int columns>
  static constexpr Pass pass = block_pass<Format, columns>;

  KEDGE_INLINE static int next(std::int64_t left) {
    return static_cast<int>(left < most_columns ? left : most_columns);
  }
  KEDGE_INLINE static Pass of(int columns) {
    if constexpr (body_columns < most_columns)
      if (columns > body_columns) return wide_pass<Format>;
    return pass_at<BlockPasses>(columns, std::make_integer_sequence<int, body_columns>{});
  }
};

template <class Format>
void matmul_blocks(const MatmulTask& task, std::int64_t rows, std::size_t begin,
                   std::size_t end) noexcept {
  walk<BlockPasses<Format>>(Task(task, end), rows, begin, end);
}

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
