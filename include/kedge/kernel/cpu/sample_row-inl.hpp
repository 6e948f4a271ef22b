// Plain loops over arrays that the compiler turns into vectors of each ISA. Every value goes
// through the same double or float operations in the same order on all, and lanes fold by one tree.
#include "kedge/core/rng.hpp"
#include "kedge/kernel/cpu/sample_row.hpp"

#if defined(KEDGE_ISA_IS_avx2) || defined(KEDGE_ISA_IS_avx512)
#include <immintrin.h>
#endif

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

constexpr float infinite = __builtin_inff();

float largest(const float* x, std::int64_t n) noexcept {
  constexpr int lanes = 32;
  float best[lanes];
  for (float& b : best) b = -infinite;
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int lane = 0; lane < lanes; ++lane)
      best[lane] = x[i + lane] > best[lane] ? x[i + lane] : best[lane];
  for (; i < n; ++i) best[0] = x[i] > best[0] ? x[i] : best[0];
  float result = best[0];
  for (const float b : best) result = b > result ? b : result;
  return result;
}

// exp for arguments up to 0, without branches or divisions: x = n log 2 + r, |r| <= 0.35, then the
// series of e^r to r^11 (the next term is below 1e-14). core/math.hpp's exp is the accurate one; a
// sum over a vocabulary has no time for it.
KEDGE_INLINE double exp_of_negative(double x) noexcept {
  constexpr double shift = 0x1.8p52;  // adding it rounds to an integer in the lowest bits
  x = x < -708.0 ? -708.0 : x;
  const double shifted = x * 0x1.71547652b82fep+0 + shift;
  const double n = shifted - shift;
  const double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
  double p = 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  // n is at least -1022, so the exponent stays that of a normal number.
  const auto exponent = __builtin_bit_cast(std::uint64_t, shifted) << 52;
  return __builtin_bit_cast(double, __builtin_bit_cast(std::uint64_t, p) + exponent);
}

double sum_of_exponentials(const float* x, std::int64_t n, float top, double scale) noexcept {
  constexpr int lanes = 8;
  double sum[lanes] = {};
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int lane = 0; lane < lanes; ++lane)
      sum[lane] +=
          exp_of_negative((static_cast<double>(x[i + lane]) - static_cast<double>(top)) * scale);
  for (int lane = 0; i < n; ++i, ++lane)
    sum[lane] += exp_of_negative((static_cast<double>(x[i]) - static_cast<double>(top)) * scale);
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) sum[lane] += sum[lane + half];
  return sum[0];
}

// The same in floats: the series of e^r to r^6 is off by 2e-7 at most.
KEDGE_INLINE float quick_exp_of_negative(float x) noexcept {
  constexpr float shift = 0x1.8p23f;
  x = x < -87.0f ? -87.0f : x;
  const float shifted = x * 0x1.715476p+0f + shift;
  const float n = shifted - shift;
  const float r = (x - n * 0x1.63p-1f) + n * 0x1.bd0106p-13f;  // log 2 in two parts
  float p = 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const auto exponent = __builtin_bit_cast(std::uint32_t, shifted) << 23;
  return __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, p) + exponent);
}

float quick_sum_of_exponentials(const float* x, std::int64_t n, float top, float scale) noexcept {
  constexpr int lanes = 32;
  float sum[lanes] = {};
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int lane = 0; lane < lanes; ++lane)
      sum[lane] += quick_exp_of_negative((x[i + lane] - top) * scale);
  for (int lane = 0; i < n; ++i, ++lane) sum[lane] += quick_exp_of_negative((x[i] - top) * scale);
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) sum[lane] += sum[lane + half];
  return sum[0];
}

// Lanes of 64 bits of which the low 32 are a word, so that a widening product is one instruction.
#if defined(KEDGE_ISA_IS_avx512)
typedef std::uint64_t Words __attribute__((vector_size(64)));
KEDGE_INLINE Words product(Words a, std::uint32_t b) {
  return (Words)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
}
#elif defined(KEDGE_ISA_IS_avx2)
typedef std::uint64_t Words __attribute__((vector_size(32)));
KEDGE_INLINE Words product(Words a, std::uint32_t b) {
  return (Words)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
}
#else
typedef std::uint64_t Words __attribute__((vector_size(16)));
KEDGE_INLINE Words product(Words a, std::uint32_t b) {
  return (a & 0xFFFFFFFFu) * std::uint64_t{b};
}
#endif
constexpr int words = sizeof(Words) / 8;

// Philox::block (core/rng.hpp) over the 16 counters of a group; out[16 w + i] is word w of counter
// i.
KEDGE_INLINE void upper_bits(const RaceView& race, std::int64_t first, std::uint32_t* out) {
  const auto position = static_cast<std::uint64_t>(race.position);
  for (int at = 0; at < 16; at += words) {
    Words c0, c1 = Words{} + position, c2 = Words{} + (position >> 32);
    Words c3{};  // noise::Half::upper is 0
    for (int i = 0; i < words; ++i) c0[i] = static_cast<std::uint64_t>(first / 4 + at + i);
    auto k0 = static_cast<std::uint32_t>(race.seed);
    auto k1 = static_cast<std::uint32_t>(race.seed >> 32);
    for (int round = 0; round < Philox::rounds; ++round) {
      const Words a = product(c0, Philox::multiplier0), b = product(c2, Philox::multiplier1);
      c0 = (b >> 32) ^ c1 ^ std::uint64_t{k0};
      c1 = b;
      c2 = (a >> 32) ^ c3 ^ std::uint64_t{k1};
      c3 = a;
      k0 += Philox::weyl0;
      k1 += Philox::weyl1;
    }
    for (int i = 0; i < words; ++i) {
      out[at + i] = static_cast<std::uint32_t>(c0[i]);
      out[16 + at + i] = static_cast<std::uint32_t>(c1[i]);
      out[32 + at + i] = static_cast<std::uint32_t>(c2[i]);
      out[48 + at + i] = static_cast<std::uint32_t>(c3[i]);
    }
  }
}

// With u = upper bits >> 8: w >= u / 2^24 and E = -log(1 - w) >= w, so log2 E >= log2 u - 24. A
// float's bits, read as a number, are the chords of log2 between powers of two, which lie below it.
std::int64_t next_group(const RaceView& race, std::int64_t from, float least,
                        float* bounds) noexcept {
  std::uint32_t upper[noise_group];
  for (std::int64_t first = from; first < race.count; first += noise_group) {
    upper_bits(race, first, upper);
    const float* x = race.x + first;
    int may_win = 0;
    for (int i = 0; i < noise_group; ++i) {
      const auto u = static_cast<float>(static_cast<std::int32_t>(upper[i] >> 8));
      const auto chord =
          static_cast<float>(__builtin_bit_cast(std::int32_t, u)) * 0x1p-23f - (127.0f + 24.0f);
      bounds[i] = x[i] * race.scale - chord;
      may_win |= bounds[i] >= least ? 1 : 0;
    }
    if (may_win != 0) return first;
  }
  return race.count;
}

}  // namespace
}  // namespace KEDGE_ISA

extern const SampleRowUnit KEDGE_UNIT(sample_row);
const SampleRowUnit KEDGE_UNIT(sample_row) = {KEDGE_ISA::largest, KEDGE_ISA::sum_of_exponentials,
                                              KEDGE_ISA::quick_sum_of_exponentials,
                                              KEDGE_ISA::next_group};

}  // namespace kedge::inline KEDGE_ABI::cpu
