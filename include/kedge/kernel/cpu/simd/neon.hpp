// 16 virtual lanes as four registers of 64-bit Arm with dot products (FEAT_DotProd). Only
// simd.hpp includes this; the meaning of every function is in
// scalar.hpp.
#pragma once

struct F32x16 {
  float32x4_t v[4];
};
struct I32x16 {
  int32x4_t v[4];
};
struct U8x64 {
  uint8x16_t v[4];
};
struct Mask16 {
  uint32x4_t v[4];
};

// One of the vectors above, from what f makes of 0, 1, 2 and 3.
template <class Vector, class F>
KEDGE_INLINE Vector quarters(F f) {
  return {{f(0), f(1), f(2), f(3)}};
}
#define KEDGE_QUARTER [&](int q) __attribute__((always_inline))

KEDGE_INLINE F32x16 set1(float x) {
  const float32x4_t r = vdupq_n_f32(x);
  return {{r, r, r, r}};
}
KEDGE_INLINE F32x16 load(const float* p) {
  return quarters<F32x16>(KEDGE_QUARTER { return vld1q_f32(p + 4 * q); });
}
KEDGE_INLINE void store(float* p, F32x16 a) {
  for (int q = 0; q < 4; ++q) vst1q_f32(p + 4 * q, a.v[q]);
}
KEDGE_INLINE F32x16 load_first(const float* p, int n) {
  float lanes[16] = {};
  for (int i = 0; i < n && i < 16; ++i) lanes[i] = p[i];
  return load(lanes);
}
KEDGE_INLINE void store_first(float* p, F32x16 a, int n) {
  float lanes[16];
  store(lanes, a);
  for (int i = 0; i < n && i < 16; ++i) p[i] = lanes[i];
}
KEDGE_INLINE F32x16 load_f16(const std::uint16_t* p) {
  return quarters<F32x16>(
      KEDGE_QUARTER { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * q))); });
}
KEDGE_INLINE F32x16 broadcast_f16(const std::uint16_t* p) {
  const float32x4_t r = vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(*p)));
  return {{r, r, r, r}};
}
KEDGE_INLINE F32x16 load_bf16(const std::uint16_t* p) {
  return quarters<F32x16>(
      KEDGE_QUARTER { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * q), 16)); });
}
KEDGE_INLINE void store_f16(std::uint16_t* p, F32x16 a) {
  for (int q = 0; q < 4; ++q) vst1_u16(p + 4 * q, vreinterpret_u16_f16(vcvt_f16_f32(a.v[q])));
}
KEDGE_INLINE void store_bf16(std::uint16_t* p, F32x16 a) {
  for (int q = 0; q < 4; ++q) {
    const uint32x4_t bits = vreinterpretq_u32_f32(a.v[q]), upper = vshrq_n_u32(bits, 16);
    const uint32x4_t odd = vandq_u32(upper, vdupq_n_u32(1));
    const uint32x4_t rounded =
        vshrq_n_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF))), 16);
    const uint32x4_t quiet = vorrq_u32(upper, vdupq_n_u32(0x40));
    vst1_u16(p + 4 * q, vmovn_u32(vbslq_u32(vceqq_f32(a.v[q], a.v[q]), rounded, quiet)));
  }
}

KEDGE_INLINE F32x16 add(F32x16 a, F32x16 b) {
  return quarters<F32x16>(KEDGE_QUARTER { return vaddq_f32(a.v[q], b.v[q]); });
}
KEDGE_INLINE F32x16 sub(F32x16 a, F32x16 b) {
  return quarters<F32x16>(KEDGE_QUARTER { return vsubq_f32(a.v[q], b.v[q]); });
}
KEDGE_INLINE F32x16 mul(F32x16 a, F32x16 b) {
  return quarters<F32x16>(KEDGE_QUARTER { return vmulq_f32(a.v[q], b.v[q]); });
}
KEDGE_INLINE F32x16 div(F32x16 a, F32x16 b) {
  return quarters<F32x16>(KEDGE_QUARTER { return vdivq_f32(a.v[q], b.v[q]); });
}
KEDGE_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return quarters<F32x16>(KEDGE_QUARTER { return vfmaq_f32(c.v[q], a.v[q], b.v[q]); });
}
// Not vmaxq_f32, which would keep a NaN of either operand.
KEDGE_INLINE float32x4_t larger(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
KEDGE_INLINE F32x16 max(F32x16 a, F32x16 b) {
  return quarters<F32x16>(KEDGE_QUARTER { return larger(a.v[q], b.v[q]); });
}
KEDGE_INLINE F32x16 min(F32x16 a, F32x16 b) {
  return quarters<F32x16>(
      KEDGE_QUARTER { return vbslq_f32(vcltq_f32(a.v[q], b.v[q]), a.v[q], b.v[q]); });
}
KEDGE_INLINE F32x16 abs(F32x16 a) {
  return quarters<F32x16>(KEDGE_QUARTER { return vabsq_f32(a.v[q]); });
}

KEDGE_INLINE I32x16 set1(std::int32_t x) {
  const int32x4_t r = vdupq_n_s32(x);
  return {{r, r, r, r}};
}
KEDGE_INLINE I32x16 load(const std::int32_t* p) {
  return quarters<I32x16>(KEDGE_QUARTER { return vld1q_s32(p + 4 * q); });
}
KEDGE_INLINE I32x16 load_i8(const std::int8_t* p) {
  const int16x8_t low = vmovl_s8(vld1_s8(p)), high = vmovl_s8(vld1_s8(p + 8));
  return {{vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)),
           vmovl_s16(vget_low_s16(high)), vmovl_s16(vget_high_s16(high))}};
}
KEDGE_INLINE void store(std::int32_t* p, I32x16 a) {
  for (int q = 0; q < 4; ++q) vst1q_s32(p + 4 * q, a.v[q]);
}
KEDGE_INLINE I32x16 add(I32x16 a, I32x16 b) {
  return quarters<I32x16>(KEDGE_QUARTER { return vaddq_s32(a.v[q], b.v[q]); });
}
KEDGE_INLINE I32x16 mul(I32x16 a, I32x16 b) {
  return quarters<I32x16>(KEDGE_QUARTER { return vmulq_s32(a.v[q], b.v[q]); });
}
KEDGE_INLINE F32x16 to_f32(I32x16 a) {
  return quarters<F32x16>(KEDGE_QUARTER { return vcvtq_f32_s32(a.v[q]); });
}
// The conversion makes a NaN 0.
KEDGE_INLINE I32x16 round_to_i32(F32x16 a) {
  return quarters<I32x16>(KEDGE_QUARTER {
    return vbslq_s32(vceqq_f32(a.v[q], a.v[q]), vcvtnq_s32_f32(a.v[q]), vdupq_n_s32(INT32_MIN));
  });
}
KEDGE_INLINE void store_i8(std::int8_t* p, I32x16 a) {
  const int16x8_t low = vcombine_s16(vmovn_s32(a.v[0]), vmovn_s32(a.v[1]));
  const int16x8_t high = vcombine_s16(vmovn_s32(a.v[2]), vmovn_s32(a.v[3]));
  vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}
KEDGE_INLINE F32x16 exponent_scale(F32x16 a, I32x16 n) {
  return quarters<F32x16>(KEDGE_QUARTER {
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a.v[q]), vshlq_n_s32(n.v[q], 23)));
  });
}

KEDGE_INLINE Mask16 greater(F32x16 a, F32x16 b) {
  return quarters<Mask16>(KEDGE_QUARTER { return vcgtq_f32(a.v[q], b.v[q]); });
}
KEDGE_INLINE Mask16 first(int n) {
  static constexpr std::int32_t lane[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return quarters<Mask16>(
      KEDGE_QUARTER { return vcltq_s32(vld1q_s32(lane + 4 * q), vdupq_n_s32(n)); });
}
KEDGE_INLINE bool any(Mask16 m) {
  return vmaxvq_u32(vorrq_u32(vorrq_u32(m.v[0], m.v[1]), vorrq_u32(m.v[2], m.v[3]))) != 0;
}
KEDGE_INLINE F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
  return quarters<F32x16>(KEDGE_QUARTER { return vbslq_f32(m.v[q], a.v[q], b.v[q]); });
}
KEDGE_INLINE I32x16 select(Mask16 m, I32x16 a, I32x16 b) {
  return quarters<I32x16>(KEDGE_QUARTER { return vbslq_s32(m.v[q], a.v[q], b.v[q]); });
}

KEDGE_INLINE float reduce_add(F32x16 a) {
  const float32x4_t x4 = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  const float32x2_t x2 = vadd_f32(vget_low_f32(x4), vget_high_f32(x4));
  return vget_lane_f32(x2, 0) + vget_lane_f32(x2, 1);
}
KEDGE_INLINE float reduce_max(F32x16 a) {
  const float32x4_t x4 = larger(larger(a.v[0], a.v[2]), larger(a.v[1], a.v[3]));
  const float32x4_t x2 = larger(x4, vextq_f32(x4, x4, 2));
  return vgetq_lane_f32(larger(x2, vextq_f32(x2, x2, 1)), 0);
}

KEDGE_INLINE U8x64 load_u8(const void* p) {
  const auto* bytes = static_cast<const std::uint8_t*>(p);
  return quarters<U8x64>(KEDGE_QUARTER { return vld1q_u8(bytes + 16 * q); });
}
KEDGE_INLINE U8x64 low_nibbles(U8x64 a) {
  return quarters<U8x64>(KEDGE_QUARTER { return vandq_u8(a.v[q], vdupq_n_u8(15)); });
}
KEDGE_INLINE U8x64 high_nibbles(U8x64 a) {
  return quarters<U8x64>(KEDGE_QUARTER { return vshrq_n_u8(a.v[q], 4); });
}
template <int bits, int shift>
KEDGE_INLINE uint8x16_t join_high16(uint8x16_t low, uint8x16_t high) {
  uint8x16_t at = high;
  if constexpr (shift > 0) at = vshrq_n_u8(high, shift);
  return vorrq_u8(low, vshlq_n_u8(vandq_u8(at, vdupq_n_u8((1 << bits) - 1)), 4));
}
template <int bits, int shift>
KEDGE_INLINE U8x64 join_high(U8x64 low, U8x64 high) {
  return quarters<U8x64>(KEDGE_QUARTER { return join_high16<bits, shift>(low.v[q], high.v[q]); });
}
template <int j>
KEDGE_INLINE int32x4_t byte_of4(uint8x16_t a) {
  uint32x4_t words = vreinterpretq_u32_u8(a);
  if constexpr (j > 0) words = vshrq_n_u32(words, 8 * j);
  return vreinterpretq_s32_u32(vandq_u32(words, vdupq_n_u32(255)));
}
template <int j>
KEDGE_INLINE I32x16 byte_of(U8x64 a) {
  return quarters<I32x16>(KEDGE_QUARTER { return byte_of4<j>(a.v[q]); });
}

// Signed products of four: weights of q8_0 are signed, and those without a sign stay below 64.
using SignedWeights = U8x64;
KEDGE_INLINE SignedWeights signed_weights(U8x64 w) { return w; }
KEDGE_INLINE I32x16 signed_start(const BlockQ8Act&) { return set1(std::int32_t{0}); }
KEDGE_INLINE I32x16 dot_signed(I32x16 acc, SignedWeights w, const std::int8_t* a) {
  std::int32_t word;
  __builtin_memcpy(&word, a, 4);
  const int8x16_t b = vreinterpretq_s8_s32(vdupq_n_s32(word));
  return quarters<I32x16>(
      KEDGE_QUARTER { return vdotq_s32(acc.v[q], vreinterpretq_s8_u8(w.v[q]), b); });
}
KEDGE_INLINE I32x16 dot_unsigned(I32x16 acc, U8x64 w, const std::int8_t* a) {
  return dot_signed(acc, w, a);
}
KEDGE_INLINE void stream(float* p, F32x16 a) { store(p, a); }
KEDGE_INLINE void stream_end() {}
KEDGE_INLINE void prefetch(const void* p) { __builtin_prefetch(p); }

// 32 registers: 3 columns take 24 for sums, the rest holds unpacked weights. With 4, two of three
// instructions load and store sums.
constexpr int max_columns = 3;
#undef KEDGE_QUARTER
