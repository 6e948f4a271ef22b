// 16 virtual lanes as one AVX-512 register (F, BW, VL, DQ, VNNI). Only simd.hpp includes this; the
// meaning of every function is in scalar.hpp.
#pragma once

struct F32x16 {
  __m512 v;
};
struct I32x16 {
  __m512i v;
};
struct U8x64 {
  __m512i v;
};
struct Mask16 {
  __mmask16 v;
};

KEDGE_INLINE F32x16 set1(float x) { return {_mm512_set1_ps(x)}; }
KEDGE_INLINE F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
KEDGE_INLINE Mask16 first(int n) {
  return {static_cast<__mmask16>(n >= 16 ? 0xFFFFu : n <= 0 ? 0u : (1u << n) - 1u)};
}
KEDGE_INLINE F32x16 load_first(const float* p, int n) {
  return {_mm512_maskz_loadu_ps(first(n).v, p)};
}
KEDGE_INLINE void store(float* p, F32x16 a) { _mm512_storeu_ps(p, a.v); }
KEDGE_INLINE void store_first(float* p, F32x16 a, int n) {
  _mm512_mask_storeu_ps(p, first(n).v, a.v);
}
KEDGE_INLINE __m256i half16(const std::uint16_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
KEDGE_INLINE F32x16 load_f16(const std::uint16_t* p) { return {_mm512_cvtph_ps(half16(p))}; }
KEDGE_INLINE F32x16 broadcast_f16(const std::uint16_t* p) { return set1(_cvtsh_ss(*p)); }
KEDGE_INLINE F32x16 load_bf16(const std::uint16_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half16(p)), 16))};
}
KEDGE_INLINE void store_f16(std::uint16_t* p, F32x16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
KEDGE_INLINE void store_bf16(std::uint16_t* p, F32x16 a) {
  const __m512i bits = _mm512_castps_si512(a.v), upper = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(
      _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF))), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  const __m512i stored = _mm512_mask_or_epi32(rounded, nan, upper, _mm512_set1_epi32(0x40));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(stored));
}

KEDGE_INLINE F32x16 add(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
KEDGE_INLINE F32x16 sub(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
KEDGE_INLINE F32x16 mul(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
KEDGE_INLINE F32x16 div(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
KEDGE_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
KEDGE_INLINE F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
KEDGE_INLINE F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
KEDGE_INLINE F32x16 abs(F32x16 a) { return {_mm512_abs_ps(a.v)}; }

KEDGE_INLINE I32x16 set1(std::int32_t x) { return {_mm512_set1_epi32(x)}; }
KEDGE_INLINE I32x16 load(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
KEDGE_INLINE I32x16 load_i8(const std::int8_t* p) {
  return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
KEDGE_INLINE void store(std::int32_t* p, I32x16 a) { _mm512_storeu_si512(p, a.v); }
KEDGE_INLINE I32x16 add(I32x16 a, I32x16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
KEDGE_INLINE I32x16 mul(I32x16 a, I32x16 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
KEDGE_INLINE F32x16 to_f32(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
KEDGE_INLINE I32x16 round_to_i32(F32x16 a) { return {_mm512_cvtps_epi32(a.v)}; }
KEDGE_INLINE void store_i8(std::int8_t* p, I32x16 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}
KEDGE_INLINE F32x16 exponent_scale(F32x16 a, I32x16 n) {
  return {
      _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.v), _mm512_slli_epi32(n.v, 23)))};
}

KEDGE_INLINE Mask16 greater(F32x16 a, F32x16 b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)};
}
KEDGE_INLINE bool any(Mask16 m) { return m.v != 0; }
KEDGE_INLINE F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
  return {_mm512_mask_blend_ps(m.v, b.v, a.v)};
}
KEDGE_INLINE I32x16 select(Mask16 m, I32x16 a, I32x16 b) {
  return {_mm512_mask_blend_epi32(m.v, b.v, a.v)};
}

KEDGE_INLINE float reduce_add(F32x16 a) {
  const __m256 x8 = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 x4 = _mm_add_ps(_mm256_castps256_ps128(x8), _mm256_extractf128_ps(x8, 1));
  const __m128 x2 = _mm_add_ps(x4, _mm_movehl_ps(x4, x4));
  return _mm_cvtss_f32(_mm_add_ss(x2, _mm_movehdup_ps(x2)));
}
KEDGE_INLINE float reduce_max(F32x16 a) {
  const __m256 x8 = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 x4 = _mm_max_ps(_mm256_castps256_ps128(x8), _mm256_extractf128_ps(x8, 1));
  const __m128 x2 = _mm_max_ps(x4, _mm_movehl_ps(x4, x4));
  return _mm_cvtss_f32(_mm_max_ss(x2, _mm_movehdup_ps(x2)));
}

KEDGE_INLINE U8x64 load_u8(const void* p) { return {_mm512_loadu_si512(p)}; }
KEDGE_INLINE U8x64 low_nibbles(U8x64 a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))}; }
KEDGE_INLINE U8x64 high_nibbles(U8x64 a) { return low_nibbles({_mm512_srli_epi16(a.v, 4)}); }
template <int bits, int shift>
KEDGE_INLINE U8x64 join_high(U8x64 low, U8x64 high) {
  __m512i at = high.v;  // the bits from 4 on; what else a shift brings is masked off
  if constexpr (shift < 4) at = _mm512_slli_epi16(high.v, 4 - shift);
  if constexpr (shift > 4) at = _mm512_srli_epi16(high.v, shift - 4);
  const __m512i mask = _mm512_set1_epi8(((1 << bits) - 1) << 4);
  return {_mm512_ternarylogic_epi64(low.v, at, mask, 0xF8)};  // low | (at & mask)
}
template <int j>
KEDGE_INLINE I32x16 byte_of(U8x64 a) {
  return {_mm512_and_si512(_mm512_srli_epi32(a.v, 8 * j), _mm512_set1_epi32(255))};
}
// In assembly because GCC 12 does not fold a broadcast into vpdpbusd: a load of its own for each
// product costs a third of the speed where the front end is the limit.
KEDGE_INLINE __m512i dpbusd(__m512i acc, __m512i w, const std::int8_t* a) {
  asm("vpdpbusd %2%{1to16%}, %1, %0"
      : "+v"(acc)
      : "v"(w), "m"(*reinterpret_cast<const std::int8_t(*)[4]>(a)));
  return acc;
}
KEDGE_INLINE I32x16 dot_unsigned(I32x16 acc, U8x64 w, const std::int8_t* a) {
  return {dpbusd(acc.v, w.v, a)};
}
// vpdpbusd wants unsigned weights: add 128 to each (flip the top bit) and begin at -128 * sum(a).
struct SignedWeights {
  __m512i v;
};
KEDGE_INLINE SignedWeights signed_weights(U8x64 w) {
  return {_mm512_xor_si512(w.v, _mm512_set1_epi8(static_cast<char>(0x80)))};
}
KEDGE_INLINE I32x16 signed_start(const BlockQ8Act& a) { return set1(a.neg128_sum); }
KEDGE_INLINE I32x16 dot_signed(I32x16 acc, SignedWeights w, const std::int8_t* a) {
  return {dpbusd(acc.v, w.v, a)};
}
#define KEDGE_OWN_ROUNDING
#include "kedge/kernel/cpu/simd/round_x86.hpp"
// What is out of range becomes the lowest integer, and saturates to -128.
KEDGE_INLINE bool store_q8(F32x16 lo, F32x16 hi, float d, BlockQ8Act& block) {
  const __m512i words = _mm512_packs_epi32(_mm512_cvtps_epi32(lo.v), _mm512_cvtps_epi32(hi.v));
  const __m256i bytes =
      _mm256_packs_epi16(_mm512_castsi512_si256(words), _mm512_extracti64x4_epi64(words, 1));
  // Fours of both halves by turns
  const __m256i q = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 2, 6, 1, 5, 3, 7));
  const __m256i fours = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), q);
  return store_rounded(q, fours, d, block);
}
KEDGE_INLINE void stream(float* p, F32x16 a) { _mm512_stream_ps(p, a.v); }
KEDGE_INLINE void stream_end() { _mm_sfence(); }
KEDGE_INLINE void prefetch(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
}

// 32 registers: 16 column accumulators, 8 of unpacked weights, the rest for one product in flight.
constexpr int max_columns = 16;
