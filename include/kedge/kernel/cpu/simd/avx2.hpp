// 16 virtual lanes as two AVX2 registers (with FMA and F16C). Only simd.hpp includes this; the
// meaning of every function is in scalar.hpp.
#pragma once

struct F32x16 {
  __m256 lo, hi;
};
struct I32x16 {
  __m256i lo, hi;
};
struct U8x64 {
  __m256i lo, hi;
};
struct Mask16 {
  __m256i lo, hi;
};

KEDGE_INLINE F32x16 set1(float x) {
  const __m256 r = _mm256_set1_ps(x);
  return {r, r};
}
KEDGE_INLINE F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
KEDGE_INLINE __m256i first8(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
KEDGE_INLINE Mask16 first(int n) { return {first8(n), first8(n - 8)}; }
KEDGE_INLINE F32x16 load_first(const float* p, int n) {
  const Mask16 m = first(n);
  return {_mm256_maskload_ps(p, m.lo), _mm256_maskload_ps(p + 8, m.hi)};
}
KEDGE_INLINE void store(float* p, F32x16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
KEDGE_INLINE void store_first(float* p, F32x16 a, int n) {
  const Mask16 m = first(n);
  _mm256_maskstore_ps(p, m.lo, a.lo);
  _mm256_maskstore_ps(p + 8, m.hi, a.hi);
}
KEDGE_INLINE __m128i half8(const std::uint16_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
KEDGE_INLINE F32x16 load_f16(const std::uint16_t* p) {
  return {_mm256_cvtph_ps(half8(p)), _mm256_cvtph_ps(half8(p + 8))};
}
KEDGE_INLINE F32x16 broadcast_f16(const std::uint16_t* p) { return set1(_cvtsh_ss(*p)); }
KEDGE_INLINE __m256 bf16_8(const std::uint16_t* p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half8(p)), 16));
}
KEDGE_INLINE F32x16 load_bf16(const std::uint16_t* p) { return {bf16_8(p), bf16_8(p + 8)}; }
KEDGE_INLINE void store_f16(std::uint16_t* p, F32x16 a) {
  constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, nearest));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, nearest));
}
KEDGE_INLINE __m256i bf16_bits8(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a), upper = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(
      _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
  const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
  return _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)));
}
KEDGE_INLINE void store_bf16(std::uint16_t* p, F32x16 a) {
  const __m256i pairs = _mm256_packus_epi32(bf16_bits8(a.lo), bf16_bits8(a.hi));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(pairs, 0xD8));
}

KEDGE_INLINE F32x16 add(F32x16 a, F32x16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
KEDGE_INLINE F32x16 sub(F32x16 a, F32x16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
KEDGE_INLINE F32x16 mul(F32x16 a, F32x16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
KEDGE_INLINE F32x16 div(F32x16 a, F32x16 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
KEDGE_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
KEDGE_INLINE F32x16 max(F32x16 a, F32x16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
KEDGE_INLINE F32x16 min(F32x16 a, F32x16 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
KEDGE_INLINE F32x16 abs(F32x16 a) {
  const __m256 m = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
  return {_mm256_and_ps(a.lo, m), _mm256_and_ps(a.hi, m)};
}

KEDGE_INLINE I32x16 set1(std::int32_t x) {
  const __m256i r = _mm256_set1_epi32(x);
  return {r, r};
}
KEDGE_INLINE __m256i load8(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
KEDGE_INLINE I32x16 load(const std::int32_t* p) { return {load8(p), load8(p + 8)}; }
KEDGE_INLINE I32x16 load_i8(const std::int8_t* p) {
  return {_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8)))};
}
KEDGE_INLINE void store(std::int32_t* p, I32x16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), a.hi);
}
KEDGE_INLINE I32x16 add(I32x16 a, I32x16 b) {
  return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
KEDGE_INLINE I32x16 mul(I32x16 a, I32x16 b) {
  return {_mm256_mullo_epi32(a.lo, b.lo), _mm256_mullo_epi32(a.hi, b.hi)};
}
KEDGE_INLINE F32x16 to_f32(I32x16 a) {
  return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
}
KEDGE_INLINE I32x16 round_to_i32(F32x16 a) {
  return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)};
}
KEDGE_INLINE void store_i8(std::int8_t* p, I32x16 a) {
  alignas(32) std::int32_t lanes[16];
  store(lanes, a);
  for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int8_t>(lanes[i]);
}
KEDGE_INLINE __m256 exponent_scale8(__m256 a, __m256i n) {
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(n, 23)));
}
KEDGE_INLINE F32x16 exponent_scale(F32x16 a, I32x16 n) {
  return {exponent_scale8(a.lo, n.lo), exponent_scale8(a.hi, n.hi)};
}

KEDGE_INLINE Mask16 greater(F32x16 a, F32x16 b) {
  return {_mm256_castps_si256(_mm256_cmp_ps(a.lo, b.lo, _CMP_GT_OQ)),
          _mm256_castps_si256(_mm256_cmp_ps(a.hi, b.hi, _CMP_GT_OQ))};
}
KEDGE_INLINE bool any(Mask16 m) {
  const __m256i both = _mm256_or_si256(m.lo, m.hi);
  return _mm256_testz_si256(both, both) == 0;
}
KEDGE_INLINE F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_castsi256_ps(m.lo)),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_castsi256_ps(m.hi))};
}
KEDGE_INLINE I32x16 select(Mask16 m, I32x16 a, I32x16 b) {
  return {_mm256_blendv_epi8(b.lo, a.lo, m.lo), _mm256_blendv_epi8(b.hi, a.hi, m.hi)};
}

KEDGE_INLINE float reduce_add(F32x16 a) {
  const __m256 x8 = _mm256_add_ps(a.lo, a.hi);
  const __m128 x4 = _mm_add_ps(_mm256_castps256_ps128(x8), _mm256_extractf128_ps(x8, 1));
  const __m128 x2 = _mm_add_ps(x4, _mm_movehl_ps(x4, x4));
  return _mm_cvtss_f32(_mm_add_ss(x2, _mm_movehdup_ps(x2)));
}
KEDGE_INLINE float reduce_max(F32x16 a) {
  const __m256 x8 = _mm256_max_ps(a.lo, a.hi);
  const __m128 x4 = _mm_max_ps(_mm256_castps256_ps128(x8), _mm256_extractf128_ps(x8, 1));
  const __m128 x2 = _mm_max_ps(x4, _mm_movehl_ps(x4, x4));
  return _mm_cvtss_f32(_mm_max_ss(x2, _mm_movehdup_ps(x2)));
}

KEDGE_INLINE U8x64 load_u8(const void* p) {
  return {load8(p), load8(static_cast<const char*>(p) + 32)};
}
KEDGE_INLINE U8x64 low_nibbles(U8x64 a) {
  const __m256i m = _mm256_set1_epi8(15);
  return {_mm256_and_si256(a.lo, m), _mm256_and_si256(a.hi, m)};
}
KEDGE_INLINE U8x64 high_nibbles(U8x64 a) {
  return low_nibbles({_mm256_srli_epi16(a.lo, 4), _mm256_srli_epi16(a.hi, 4)});
}
template <int bits, int shift>
KEDGE_INLINE __m256i join_high8(__m256i low, __m256i high) {
  __m256i at = high;  // the bits from 4 on; what else a shift brings is masked off
  if constexpr (shift < 4) at = _mm256_slli_epi16(high, 4 - shift);
  if constexpr (shift > 4) at = _mm256_srli_epi16(high, shift - 4);
  return _mm256_or_si256(low, _mm256_and_si256(at, _mm256_set1_epi8(((1 << bits) - 1) << 4)));
}
template <int bits, int shift>
KEDGE_INLINE U8x64 join_high(U8x64 low, U8x64 high) {
  return {join_high8<bits, shift>(low.lo, high.lo), join_high8<bits, shift>(low.hi, high.hi)};
}
template <int j>
KEDGE_INLINE I32x16 byte_of(U8x64 a) {
  const __m256i m = _mm256_set1_epi32(255);
  return {_mm256_and_si256(_mm256_srli_epi32(a.lo, 8 * j), m),
          _mm256_and_si256(_mm256_srli_epi32(a.hi, 8 * j), m)};
}
KEDGE_INLINE __m256i broadcast4(const std::int8_t* a) {
  std::int32_t word;
  __builtin_memcpy(&word, a, 4);
  return _mm256_set1_epi32(word);
}
#if defined(__AVXVNNI__)
// vpdpbusd wants unsigned weights: add 128 to each (flip the top bit) and begin at -128 * sum(a).
struct SignedWeights {
  U8x64 v;
};
KEDGE_INLINE __m256i dot8(__m256i acc, __m256i w, __m256i a) {
  return _mm256_dpbusd_avx_epi32(acc, w, a);
}
KEDGE_INLINE SignedWeights signed_weights(U8x64 w) {
  const __m256i top = _mm256_set1_epi8(static_cast<char>(0x80));
  return {{_mm256_xor_si256(w.lo, top), _mm256_xor_si256(w.hi, top)}};
}
KEDGE_INLINE I32x16 signed_start(const BlockQ8Act& a) { return set1(a.neg128_sum); }
#else
// vpmaddubsw adds two products in 16 bits: unsigned weights up to 63 (q4, q6) times 127 fit; the
// signed form below has at most 128 * 127 * 2 = 32512, which fits as well.
using SignedWeights = U8x64;
KEDGE_INLINE __m256i dot8(__m256i acc, __m256i w, __m256i a) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(w, a), _mm256_set1_epi16(1)));
}
KEDGE_INLINE SignedWeights signed_weights(U8x64 w) { return w; }
KEDGE_INLINE I32x16 signed_start(const BlockQ8Act&) { return set1(std::int32_t{0}); }
#endif
KEDGE_INLINE I32x16 dot_unsigned(I32x16 acc, U8x64 w, const std::int8_t* a) {
  const __m256i b = broadcast4(a);
  return {dot8(acc.lo, w.lo, b), dot8(acc.hi, w.hi, b)};
}
#if !defined(__AVXVNNI__)
#define KEDGE_OWN_NIBBLE_SUM
// Eight pairs of 15 * 127 fit 16 bits: two instructions for a product where dot8 takes three.
struct NibbleSum {
  __m256i lo, hi;
};
KEDGE_INLINE NibbleSum nibble_begin(I32x16) {
  return {_mm256_setzero_si256(), _mm256_setzero_si256()};
}
KEDGE_INLINE I32x16 nibble_end(NibbleSum s, I32x16 start) {
  const __m256i ones = _mm256_set1_epi16(1);
  return add(start, I32x16{_mm256_madd_epi16(s.lo, ones), _mm256_madd_epi16(s.hi, ones)});
}
KEDGE_INLINE NibbleSum dot_nibbles(NibbleSum s, U8x64 w, const std::int8_t* a) {
  const __m256i b = broadcast4(a);
  return {_mm256_add_epi16(s.lo, _mm256_maddubs_epi16(w.lo, b)),
          _mm256_add_epi16(s.hi, _mm256_maddubs_epi16(w.hi, b))};
}
#endif
KEDGE_INLINE I32x16 dot_signed(I32x16 acc, SignedWeights w, const std::int8_t* a) {
#if defined(__AVXVNNI__)
  return dot_unsigned(acc, w.v, a);
#else
  const __m256i b = broadcast4(a);
  return {dot8(acc.lo, _mm256_abs_epi8(w.lo), _mm256_sign_epi8(b, w.lo)),
          dot8(acc.hi, _mm256_abs_epi8(w.hi), _mm256_sign_epi8(b, w.hi))};
#endif
}
#define KEDGE_OWN_ROUNDING
#include "kedge/kernel/cpu/simd/round_x86.hpp"
// What is out of range becomes the lowest integer, and saturates to -128.
KEDGE_INLINE bool store_q8(F32x16 lo, F32x16 hi, float d, BlockQ8Act& block) {
  const __m256i first = _mm256_packs_epi32(_mm256_cvtps_epi32(lo.lo), _mm256_cvtps_epi32(lo.hi));
  const __m256i second = _mm256_packs_epi32(_mm256_cvtps_epi32(hi.lo), _mm256_cvtps_epi32(hi.hi));
  // Fours of both registers' halves by turns
  const __m256i q = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, second),
                                                _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
  return store_rounded(q, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)), d, block);
}
KEDGE_INLINE void stream(float* p, F32x16 a) {
  _mm256_stream_ps(p, a.lo);
  _mm256_stream_ps(p + 8, a.hi);
}
KEDGE_INLINE void stream_end() { _mm_sfence(); }
KEDGE_INLINE void prefetch(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
}

// 16 registers hold the sums of a block for 8 columns; those of the row are loaded and stored for
// every block, which costs less than unpacking weights twice.
constexpr int max_columns = 8;
