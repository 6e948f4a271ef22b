// The passes of matmul over weights in blocks: how many columns they take and in which order they
// read panels. The products themselves are in matmul_blocks-inl.hpp.
#pragma once

#include "kedge/kernel/cpu/matmul_blocks-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

// Columns of one pass, and those that have bodies of their own (max_columns of the vector layer).
constexpr int most_columns = pass_columns == 1 ? 1 : 16;
constexpr int body_columns = pass_columns;
constexpr int least_columns = body_columns < 2 ? 1 : body_columns / 2;  // of a group among several
// Blocks of a strip: sums are loaded and stored once for all of them.
constexpr int strip_blocks = 4;

template <class Format, int columns>
__attribute__((noinline)) void multiply_strip_there(const std::byte* panel, std::int64_t first,
                                                    std::int64_t last,
                                                    const typename Format::Super& super,
                                                    const std::byte* x, std::int64_t x_stride,
                                                    const Fetch& fetch,
                                                    float (*sums)[16]) noexcept {
  multiply_strip<Format, columns>(panel, first, last, super, x, x_stride, fetch, sums);
}

// Streams the panels, a strip of one after a strip of the next. A strip is taken in turns, one for
// each of `groups` groups of columns: take(panel, first, last, super, s, g, fetch) adds blocks of
// 32 [first, last) of the s-th panel to the sums of group g, asking for its share of what all
// panels will need; store(panel, s) stores what has become of a panel.
template <class Format, class Take, class Store>
KEDGE_INLINE void stream_panels(const Task& t, std::int64_t begin, std::int64_t end, int groups,
                                std::ptrdiff_t ahead, Take take, Store store) {
  static_assert(Format::blocks == 1 || Format::blocks % strip_blocks == 0);
  const std::int64_t all = t.width / 32;
  typename Format::Super super[streams];
  for (std::int64_t panel = begin; panel < end; panel += streams) {
    const auto count = static_cast<int>(end - panel < streams ? end - panel : streams);
    const auto turns = static_cast<std::size_t>(count * groups);
    const std::size_t fetch = ahead == 0 ? 0 : block_share<Format> / turns + 1;
    auto fetched = static_cast<std::size_t>(ahead) / static_cast<std::size_t>(count);
    const std::byte* weight = t.weight + static_cast<std::size_t>(panel) * t.panel_bytes;
    const auto panel_of = [&](int s) KEDGE_LAMBDA {
      return weight + static_cast<std::size_t>(s) * t.panel_bytes;
    };
    for (std::int64_t i = 0; i < all; i += strip_blocks) {
      if (Format::blocks > 1 && i % Format::blocks == 0)
        for (int s = 0; s < count; ++s)
          Format::super(
              panel_of(s) + static_cast<std::size_t>(i / Format::blocks) * super_bytes<Format>,
              super[s]);
      const std::int64_t last = i + strip_blocks < all ? i + strip_blocks : all;
      const std::size_t share = static_cast<std::size_t>(last - i) * block_share<Format> / turns;
      for (int s = 0; s < count; ++s)
        for (int g = 0; g < groups; ++g, fetched += share)
          take(panel_of(s), i, last, super[s], s, g, fetch_from(t, weight, count, fetched, fetch));
    }
    for (int s = 0; s < count; ++s) store(panel + s, s);
  }
}

template <class Format, int columns>
void block_pass(const Task& t, std::int64_t begin, std::int64_t end, std::int64_t row, int,
                std::ptrdiff_t ahead) noexcept {
  const std::byte* x = t.x + row * t.x_stride;
  alignas(64) float sums[streams][columns][16] = {};
  stream_panels<Format>(
      t, begin, end, 1, ahead,
      [&](const std::byte* panel, std::int64_t first, std::int64_t last,
          const typename Format::Super& super, int s, int, const Fetch& fetch) KEDGE_LAMBDA {
        // With many columns a call is nothing beside the products, and passes share the bodies.
        if constexpr (columns >= least_columns)
          multiply_strip_there<Format, columns>(panel, first, last, super, x, t.x_stride, fetch,
                                                sums[s]);
        else
          multiply_strip<Format, columns>(panel, first, last, super, x, t.x_stride, fetch, sums[s]);
      },
      [&](std::int64_t panel, int s) KEDGE_LAMBDA {
        store_outputs(t, panel, row, sums[s], columns);
        __builtin_memset(sums[s], 0, sizeof sums[s]);
      });
}

template <class Format, int... i>
KEDGE_INLINE auto strip_at(int columns, std::integer_sequence<int, i...>) {
  using Body = void (*)(const std::byte*, std::int64_t, std::int64_t, const typename Format::Super&,
                        const std::byte*, std::int64_t, const Fetch&, float(*)[16]) noexcept;
  constexpr Body bodies[] = {multiply_strip_there<Format, least_columns + i>...};
  return bodies[columns - least_columns];
}

// More columns than registers hold sums for: they take a strip in groups of much the same size, the
// later of which find it in L1. So up to most_columns cost the memory no more than one.
template <class Format>
void wide_pass(const Task& t, std::int64_t begin, std::int64_t end, std::int64_t row, int columns,
               std::ptrdiff_t ahead) noexcept {
  constexpr auto bodies = std::make_integer_sequence<int, body_columns - least_columns + 1>{};
  const std::byte* x = t.x + row * t.x_stride;
  const int groups = (columns + body_columns - 1) / body_columns;
  const auto first_of = [&](int g) KEDGE_LAMBDA { return g * columns / groups; };
  alignas(64) float sums[streams][most_columns][16] = {};
  stream_panels<Format>(
      t, begin, end, groups, ahead,
      [&](const std::byte* panel, std::int64_t first, std::int64_t last,
          const typename Format::Super& super, int s, int g, const Fetch& fetch) KEDGE_LAMBDA {
        const int c = first_of(g), count = first_of(g + 1) - c;
        strip_at<Format>(count, bodies)(panel, first, last, super, x + c * t.x_stride, t.x_stride,
                                        fetch, sums[s] + c);
      },
      [&](std::int64_t panel, int s) KEDGE_LAMBDA {
        store_outputs(t, panel, row, sums[s], columns);
        __builtin_memset(sums[s], 0, sizeof sums[s]);
      });
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
