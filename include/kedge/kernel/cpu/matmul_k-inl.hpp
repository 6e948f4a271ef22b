// What q4_k and q5_k share: 6-bit scales and minima (core/format/k_scales.hpp), unpacked for all
// eight parts at once. Products with d and dmin are exact, so a part is a block with a scale and a
// minimum.
#pragma once

#include "kedge/kernel/cpu/matmul_stream-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {

struct KScales : ScaleAndMinimum {
  static constexpr int sums = 1, blocks = 8;
  struct Super {
    alignas(64) float d[8][16], m[8][16];
  };
  // The header: 16 d, 16 dmin, then three vectors whose byte 4 l + j is byte j, 4 + j, 8 + j of the
  // twelve of row l.
  KEDGE_INLINE static void super(const std::byte* p, Super& s) {
    const F32x16 d = halves(p), m = sub(zero(), halves(p + 32));
    const U8x64 a = load_u8(p + 64), b = load_u8(p + 128), c = load_u8(p + 192);
    // <2, 4> onto the low nibbles of the same bytes: the low six bits
    const U8x64 scale[2] = {join_high<2, 4>(low_nibbles(a), a), join_high<2, 6>(low_nibbles(c), a)};
    const U8x64 minimum[2] = {join_high<2, 4>(low_nibbles(b), b),
                              join_high<2, 6>(high_nibbles(c), b)};
    unrolled<8>([&](auto j) KEDGE_LAMBDA {
      store(s.d[j], mul(d, to_f32(byte_of<j.value % 4>(scale[j.value / 4]))));
      store(s.m[j], mul(m, to_f32(byte_of<j.value % 4>(minimum[j.value / 4]))));
    });
  }
  KEDGE_INLINE static Scales scales(const Super& s, int part, const std::byte*) {
    return {load(s.d[part]), load(s.m[part])};
  }
};

}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA
