// The end of rounding to int8 blocks on x86-64: the sums and what else a block holds are made in
// one register instead of number by number. Only avx2.hpp and avx512.hpp include this; the meaning
// is in kernel/cpu/round_q8-inl.hpp.
#pragma once

// `q` are 32 quanta, -128 where there was a NaN: then nothing is written and false comes back.
// `fours` are sums of four neighbours each, those of the first 16 in the lower half.
KEDGE_INLINE bool store_rounded(__m256i q, __m256i fours, float d, BlockQ8Act& block) {
  if (_mm256_movemask_epi8(_mm256_cmpeq_epi8(q, _mm256_set1_epi8(-128))) != 0) return false;
  fours = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4E));
  const __m256i halves = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0xB1));
  const __m256i swapped = _mm256_permute2x128_si256(halves, halves, 1);
  const __m256i all = _mm256_add_epi32(halves, swapped);
  // d, d_sum, then -8, -16 and -128 times all, -32 times the first and the second half, unused
  const __m256i sums = _mm256_blend_epi32(_mm256_blend_epi32(all, swapped, 0x20), halves, 0x40);
  const __m256i fields =
      _mm256_mullo_epi32(sums, _mm256_setr_epi32(0, 0, -8, -16, -128, -32, -32, 0));
  const __m256 scale = _mm256_set1_ps(d);
  const __m256 scales = _mm256_blend_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(all), scale), scale, 1);
  const __m256i rest = _mm256_blend_epi32(fields, _mm256_castps_si256(scales), 3);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(block.q), q);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(&block.d), rest);
  return true;
}
