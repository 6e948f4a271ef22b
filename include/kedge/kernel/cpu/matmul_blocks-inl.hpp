// matmul with weights in blocks. Per block of 32 k and panel of 16 rows (lane = row):
//   1. unpack 8 groups of 4 x 16 weights to bytes, once for all columns;
//   2. per column: exact integer dot products, activations broadcast from memory; the weight's
//      offset is where the accumulator starts, computed when the activations were rounded;
//   3. per column: acc = fma(float(s), d_weight * d_x, acc).
#pragma once

#include "kedge/kernel/cpu/matmul_task-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

// A kernel struct (kernel/cpu/matmul/FORMAT-inl.hpp) names its format and says, for 32 values at
// `p`: the weights of group g, what a dot product starts with, and how integer sums (`sums` of
// them, each over 32 / sums values) and scales join the accumulator. Formats of 256 values have
// `blocks` such parts behind a header, from which super() takes what all parts share.
struct OneBlock {
  static constexpr int sums = 1, blocks = 1;
  static constexpr std::size_t header = 0;
  struct Super {};
  KEDGE_INLINE static void super(const std::byte*, Super&) {}
};

// Dot products are summed in 32 bits from the start that a format gives.
struct WholeSums {
  using Sum = I32x16;
  KEDGE_INLINE static Sum begin(I32x16 start) { return start; }
  KEDGE_INLINE static I32x16 end(Sum s, I32x16) { return s; }
};

// The pairs of nibbles that a part begins with: groups 0..3 are low, 4..7 high ones. Their products
// are so small that an ISA may sum those of a part in 16 bits, and join the start behind.
struct Nibbles {
  using Weights = U8x64;
  using Sum = NibbleSum;
  template <int g>
  KEDGE_INLINE static Weights group(const std::byte* p) {
    const U8x64 pair = load_u8(p + g % 4 * 64);
    return g < 4 ? low_nibbles(pair) : high_nibbles(pair);
  }
  KEDGE_INLINE static Sum begin(I32x16 start) { return nibble_begin(start); }
  KEDGE_INLINE static I32x16 end(Sum s, I32x16 start) { return nibble_end(s, start); }
  KEDGE_INLINE static Sum dot(Sum s, Weights w, const std::int8_t* a) {
    return dot_nibbles(s, w, a);
  }
};
// Nibbles with more bits on top.
struct WideNibbles : WholeSums {
  using Weights = U8x64;
  KEDGE_INLINE static Sum dot(Sum s, Weights w, const std::int8_t* a) {
    return dot_unsigned(s, w, a);
  }
};
// With fifth bits behind them (core/format/fifth_bits.hpp).
struct FiveBits : WideNibbles {
  template <int g>
  KEDGE_INLINE static Weights group(const std::byte* p) {
    return join_high<1, g>(Nibbles::group<g>(p), load_u8(p + 256));
  }
};

// 16 halves in a panel, one per row
KEDGE_INLINE F32x16 halves(const std::byte* p) {
  return load_f16(reinterpret_cast<const std::uint16_t*>(p));
}

// x = d * q: one scale
struct Scale {
  struct Scales {
    F32x16 d;
  };
  KEDGE_INLINE static F32x16 join(const I32x16 (&s)[1], const Scales& k, const BlockQ8Act& a,
                                  F32x16 acc) {
    return fma(to_f32(s[0]), mul(k.d, set1(a.d)), acc);
  }
};
// x = d * q + m: the minimum meets the sum of the activations
struct ScaleAndMinimum {
  struct Scales {
    F32x16 d, m;
  };
  template <int>
  KEDGE_INLINE static I32x16 start(const BlockQ8Act&) {
    return set1(std::int32_t{0});
  }
  KEDGE_INLINE static F32x16 join(const I32x16 (&s)[1], const Scales& k, const BlockQ8Act& a,
                                  F32x16 acc) {
    return fma(k.m, set1(a.d_sum), fma(to_f32(s[0]), mul(k.d, set1(a.d)), acc));
  }
};

// A dot product is a chain of 8 instructions, each waiting for the one before. Running a few side
// by side in the order of the code keeps the scheduler's queue from filling with waiting ones: up
// to four columns, and where columns are fewer, several partial sums for each. More than four
// columns would need more pointers than there are registers.
constexpr int side_by_side(int columns, int sums) {
  if (pass_columns < 16) return columns;
  const int most = sums * columns > 16 ? 2 : 4;
  const int chunks = (columns + most - 1) / most;
  return (columns + chunks - 1) / chunks;
}
constexpr int partial_sums(int chains) {
  return pass_columns < 16 || chains >= 4 ? 1 : (3 + chains) / chains;
}

// `count` columns of a block from `x`, `w(Index<g>)` being the weights of group g.
template <class Format, int count, class Weights>
KEDGE_INLINE void multiply_columns(const Weights& w, const typename Format::Scales& scales,
                                   const std::byte* x, std::int64_t stride, F32x16* acc) {
  constexpr int sums = Format::sums, parts = partial_sums(count * sums);
  // Opaque pointers, or the compiler makes an index of every column and group: 32 of them, most on
  // the stack.
  const std::byte* column[count];
  unrolled<count>([&](int c) KEDGE_LAMBDA {
    column[c] = c == 0 ? x : column[c - 1] + stride;
    asm("" : "+r"(column[c]));
  });
  const auto at = [&](int c)
                      KEDGE_LAMBDA { return reinterpret_cast<const BlockQ8Act*>(column[c]); };
  I32x16 s[count][sums];
  typename Format::Sum part[count][sums][parts];
  unrolled<sums>([&](auto i) KEDGE_LAMBDA {
    unrolled<count>([&](int c) KEDGE_LAMBDA {
      part[c][i][0] = Format::begin(Format::template start<i.value>(*at(c)));
      for (int j = 1; j < parts; ++j) part[c][i][j] = Format::begin(set1(std::int32_t{0}));
    });
  });
  unrolled<8>([&](auto g) KEDGE_LAMBDA {
    const typename Format::Weights weights = w(g);
    unrolled<count>([&](int c) KEDGE_LAMBDA {
      typename Format::Sum& sum = part[c][g * sums / 8][g % parts];
      sum = Format::dot(sum, weights, at(c)->q + 4 * g);
    });
  });
  unrolled<count>([&](int c) KEDGE_LAMBDA {
    unrolled<sums>([&](auto i) KEDGE_LAMBDA {
      s[c][i] = Format::end(part[c][i][0], Format::template start<i.value>(*at(c)));
      for (int j = 1; j < parts; ++j)
        s[c][i] = add(s[c][i], Format::end(part[c][i][j], set1(std::int32_t{0})));
    });
    acc[c] = Format::join(s[c], scales, *at(c), acc[c]);
  });
}

template <class Format, int columns>
KEDGE_INLINE void multiply_block(const typename Format::Super& super, int part, const std::byte* p,
                                 const std::byte* x, std::int64_t stride, F32x16 (&acc)[columns]) {
  const auto scales = Format::scales(super, part, p);
  constexpr int side = side_by_side(columns, Format::sums);
  if constexpr (pass_columns >= 16) {  // enough registers for all the block's weights
    typename Format::Weights w[8];
    unrolled<8>([&](auto g) KEDGE_LAMBDA { w[g] = Format::template group<g.value>(p); });
    const auto kept = [&](int g) KEDGE_LAMBDA { return w[g]; };
    unrolled<columns / side>([&](int i) KEDGE_LAMBDA {
      multiply_columns<Format, side>(kept, scales, x + i * side * stride, stride, acc + i * side);
    });
    constexpr int rest = columns % side, first = columns - rest;
    if constexpr (rest > 0)
      multiply_columns<Format, rest>(kept, scales, x + first * stride, stride, acc + first);
  } else {
    const auto loaded = [&](auto g) KEDGE_LAMBDA { return Format::template group<g.value>(p); };
    multiply_columns<Format, columns>(loaded, scales, x, stride, acc);
  }
}

template <class Format>
constexpr std::size_t super_bytes = Format::header + Format::blocks* Format::bytes;
// Of a superblock's header each block counts a share.
template <class Format>
constexpr std::size_t block_share = (super_bytes<Format> + Format::blocks - 1) / Format::blocks;

// Blocks of 32 [first, last) along the rows of a panel, added to `sums`. `super` is of the
// superblock that they lie in.
template <class Format, int columns>
KEDGE_INLINE void multiply_strip(const std::byte* panel, std::int64_t first, std::int64_t last,
                                 const typename Format::Super& super, const std::byte* x,
                                 std::int64_t x_stride, const Fetch& fetch, float (*sums)[16]) {
  F32x16 acc[columns];
  unrolled<columns>([&](int c) KEDGE_LAMBDA { acc[c] = load(sums[c]); });
  auto part = static_cast<int>(first % Format::blocks);
  const std::byte* p = panel +
                       static_cast<std::size_t>(first / Format::blocks) * super_bytes<Format> +
                       Format::header + static_cast<std::size_t>(part) * Format::bytes;
  x += first * static_cast<std::int64_t>(sizeof(BlockQ8Act));
  Fetched fetched;
  for (std::int64_t i = first; i < last; ++i, ++part) {
    fetch_step(fetch, fetched);
    multiply_block<Format, columns>(super, part, p, x, x_stride, acc);
    p += Format::bytes;
    x += sizeof(BlockQ8Act);
  }
  unrolled<columns>([&](int c) KEDGE_LAMBDA { store(sums[c], acc[c]); });
}

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
