// matmul with q6_k weights; core/format/q6_k.hpp has the format.
#pragma once

#include "kedge/kernel/cpu/matmul_stream-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

struct MatmulQ6_K : WideNibbles {
  using Packed = format::Q6_K::Packed;
  using Part = Packed::Part;
  static constexpr Element element = Element::q6_k;
  static constexpr int sums = 2, blocks = 8;
  static constexpr std::size_t header = 16 * offsetof(Packed, part), bytes = 16 * sizeof(Part);
  struct Super {
    const std::byte* d;
  };
  struct Scales {
    F32x16 d, sub[2];
  };
  KEDGE_INLINE static void super(const std::byte* p, Super& s) { s.d = p; }
  KEDGE_INLINE static Scales scales(const Super& s, int, const std::byte* p) {
    const auto* sub = reinterpret_cast<const std::int8_t*>(p + 16 * offsetof(Part, scale));
    return {halves(s.d), {to_f32(load_i8(sub)), to_f32(load_i8(sub + 16))}};
  }
  template <int g>
  KEDGE_INLINE static Weights group(const std::byte* p) {
    return join_high<2, g % 4 * 2>(Nibbles::group<g>(p),
                                   load_u8(p + 16 * offsetof(Part, high) + g / 4 * 64));
  }
  template <int i>
  KEDGE_INLINE static I32x16 start(const BlockQ8Act& a) {
    return set1(a.neg32_sum[i]);
  }
  // |s| <= 16 * 32 * 127 and |sub| <= 128: products and their sum stay below 2^24, so F32 holds the
  // integer exactly, at half the price of a 32-bit multiplication.
  KEDGE_INLINE static F32x16 join(const I32x16 (&s)[2], const Scales& k, const BlockQ8Act& a,
                                  F32x16 acc) {
    const F32x16 sum = fma(to_f32(s[1]), k.sub[1], mul(to_f32(s[0]), k.sub[0]));
    return fma(sum, mul(k.d, set1(a.d)), acc);
  }
};

}  // namespace
}  // namespace KEDGE_ISA

KEDGE_MATMUL_UNIT(q6_k, matmul_blocks, Q6_K)

}  // namespace kedge::inline KEDGE_ABI::cpu
