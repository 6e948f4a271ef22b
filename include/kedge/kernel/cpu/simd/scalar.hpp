// 16 virtual lanes without any vector instruction: the definition that the other ISAs match byte
// for byte. Only simd.hpp includes this.
#pragma once

struct F32x16 {
  float v[16];
};
struct I32x16 {
  std::int32_t v[16];
};
struct U8x64 {
  std::uint8_t v[64];
};
struct Mask16 {
  std::uint32_t bits;
};

#define KEDGE_LANES(...)                      \
  do {                                        \
    for (int i = 0; i < 16; ++i) __VA_ARGS__; \
  } while (false)

// Called, not inlined: kernels are unrolled by hand, and loops over bytes or conversions in each
// step of them would take half a minute to build.
#define KEDGE_OUTLINE [[maybe_unused]] __attribute__((noinline))

KEDGE_INLINE F32x16 set1(float x) {
  F32x16 r;
  KEDGE_LANES(r.v[i] = x);
  return r;
}
KEDGE_INLINE F32x16 load(const float* p) {
  F32x16 r;
  KEDGE_LANES(r.v[i] = p[i]);
  return r;
}
KEDGE_INLINE F32x16 load_first(const float* p, int n) {
  F32x16 r;
  KEDGE_LANES(r.v[i] = i < n ? p[i] : 0.0f);
  return r;
}
KEDGE_INLINE void store(float* p, F32x16 a) { KEDGE_LANES(p[i] = a.v[i]); }
KEDGE_INLINE void store_first(float* p, F32x16 a, int n) {
  for (int i = 0; i < n && i < 16; ++i) p[i] = a.v[i];
}
KEDGE_OUTLINE F32x16 load_f16(const std::uint16_t* p) {
  F32x16 r;
  KEDGE_LANES(r.v[i] = f16_to_f32(p[i]));
  return r;
}
KEDGE_INLINE F32x16 broadcast_f16(const std::uint16_t* p) { return set1(f16_to_f32(*p)); }
KEDGE_OUTLINE F32x16 load_bf16(const std::uint16_t* p) {
  F32x16 r;
  KEDGE_LANES(r.v[i] = bf16_to_f32(p[i]));
  return r;
}
KEDGE_OUTLINE void store_f16(std::uint16_t* p, F32x16 a) { KEDGE_LANES(p[i] = f32_to_f16(a.v[i])); }
KEDGE_OUTLINE void store_bf16(std::uint16_t* p, F32x16 a) {
  KEDGE_LANES(p[i] = f32_to_bf16(a.v[i]));
}

KEDGE_INLINE F32x16 add(F32x16 a, F32x16 b) {
  KEDGE_LANES(a.v[i] = a.v[i] + b.v[i]);
  return a;
}
KEDGE_INLINE F32x16 sub(F32x16 a, F32x16 b) {
  KEDGE_LANES(a.v[i] = a.v[i] - b.v[i]);
  return a;
}
KEDGE_INLINE F32x16 mul(F32x16 a, F32x16 b) {
  KEDGE_LANES(a.v[i] = a.v[i] * b.v[i]);
  return a;
}
KEDGE_INLINE F32x16 div(F32x16 a, F32x16 b) {
  KEDGE_LANES(a.v[i] = a.v[i] / b.v[i]);
  return a;
}
KEDGE_OUTLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {  // a * b + c, rounded once
  KEDGE_LANES(a.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]));
  return a;
}
// A NaN in the second operand is kept, as the vector instructions do.
KEDGE_INLINE F32x16 max(F32x16 a, F32x16 b) {
  KEDGE_LANES(a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i]);
  return a;
}
KEDGE_INLINE F32x16 min(F32x16 a, F32x16 b) {
  KEDGE_LANES(a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i]);
  return a;
}
KEDGE_INLINE F32x16 abs(F32x16 a) {
  KEDGE_LANES(
      a.v[i] = __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, a.v[i]) & 0x7FFFFFFFu));
  return a;
}

KEDGE_INLINE I32x16 set1(std::int32_t x) {
  I32x16 r;
  KEDGE_LANES(r.v[i] = x);
  return r;
}
KEDGE_INLINE I32x16 load(const std::int32_t* p) {
  I32x16 r;
  KEDGE_LANES(r.v[i] = p[i]);
  return r;
}
KEDGE_INLINE I32x16 load_i8(const std::int8_t* p) {
  I32x16 r;
  KEDGE_LANES(r.v[i] = p[i]);
  return r;
}
KEDGE_INLINE void store(std::int32_t* p, I32x16 a) { KEDGE_LANES(p[i] = a.v[i]); }
KEDGE_INLINE I32x16 add(I32x16 a, I32x16 b) {
  KEDGE_LANES(a.v[i] = a.v[i] + b.v[i]);
  return a;
}
KEDGE_INLINE I32x16 mul(I32x16 a, I32x16 b) {
  KEDGE_LANES(a.v[i] = a.v[i] * b.v[i]);
  return a;
}
KEDGE_INLINE F32x16 to_f32(I32x16 a) {
  F32x16 r;
  KEDGE_LANES(r.v[i] = static_cast<float>(a.v[i]));
  return r;
}
// Nearest integer, ties to even; |x| < 2^22. Adding 1.5 * 2^23 leaves no bit below one. A NaN gives
// the lowest integer, as the vector instructions do.
KEDGE_INLINE I32x16 round_to_i32(F32x16 a) {
  I32x16 r;
  KEDGE_LANES({
    const float rounded = (a.v[i] + 12582912.0f) - 12582912.0f;
    r.v[i] = rounded != rounded ? INT32_MIN : static_cast<std::int32_t>(rounded);
  });
  return r;
}
KEDGE_INLINE void store_i8(std::int8_t* p, I32x16 a) {  // each lane within -128..127
  KEDGE_LANES(p[i] = static_cast<std::int8_t>(a.v[i]));
}
KEDGE_INLINE F32x16 exponent_scale(F32x16 a, I32x16 n) {  // a * 2^n by exponent bits
  KEDGE_LANES(a.v[i] = __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, a.v[i]) +
                                                     (static_cast<std::uint32_t>(n.v[i]) << 23)));
  return a;
}

KEDGE_INLINE Mask16 greater(F32x16 a, F32x16 b) {
  Mask16 m{0};
  KEDGE_LANES(m.bits |= (a.v[i] > b.v[i] ? 1u : 0u) << i);
  return m;
}
KEDGE_INLINE Mask16 first(int n) { return {n >= 16 ? 0xFFFFu : n <= 0 ? 0u : (1u << n) - 1u}; }
KEDGE_INLINE bool any(Mask16 m) { return m.bits != 0; }
KEDGE_INLINE F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
  KEDGE_LANES(a.v[i] = (m.bits >> i & 1u) != 0 ? a.v[i] : b.v[i]);
  return a;
}
KEDGE_INLINE I32x16 select(Mask16 m, I32x16 a, I32x16 b) {
  KEDGE_LANES(a.v[i] = (m.bits >> i & 1u) != 0 ? a.v[i] : b.v[i]);
  return a;
}

// Sum and maximum of the lanes in one fixed tree: i with i+8, then +4, +2, +1.
KEDGE_INLINE float reduce_add(F32x16 a) {
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) a.v[i] = a.v[i] + a.v[i + width];
  return a.v[0];
}
KEDGE_INLINE float reduce_max(F32x16 a) {
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) a.v[i] = a.v[i] > a.v[i + width] ? a.v[i] : a.v[i + width];
  return a.v[0];
}

// Weights in bytes: lane i of the product owns bytes 4i..4i+3.
KEDGE_OUTLINE U8x64 load_u8(const void* p) {
  U8x64 r;
  __builtin_memcpy(r.v, p, 64);
  return r;
}
KEDGE_OUTLINE U8x64 low_nibbles(U8x64 a) {
  for (auto& x : a.v) x = x & 15;
  return a;
}
KEDGE_OUTLINE U8x64 high_nibbles(U8x64 a) {
  for (auto& x : a.v) x = x >> 4;
  return a;
}
// low | bits [shift, shift + bits) of high, brought to bit 4: joins nibbles with what is above them
template <int bits, int shift>
KEDGE_OUTLINE U8x64 join_high(U8x64 low, U8x64 high) {
  for (int i = 0; i < 64; ++i)
    low.v[i] = static_cast<std::uint8_t>(low.v[i] | (high.v[i] >> shift & ((1 << bits) - 1)) << 4);
  return low;
}
// byte 4 i + j in lane i
template <int j>
KEDGE_OUTLINE I32x16 byte_of(U8x64 a) {
  I32x16 r;
  KEDGE_LANES(r.v[i] = a.v[4 * i + j]);
  return r;
}
// acc[i] += sum over 4 bytes of weight (unsigned) times the four activations at `a`
KEDGE_OUTLINE I32x16 dot_unsigned(I32x16 acc, U8x64 w, const std::int8_t* a) {
  KEDGE_LANES(acc.v[i] += w.v[4 * i] * a[0] + w.v[4 * i + 1] * a[1] + w.v[4 * i + 2] * a[2] +
                          w.v[4 * i + 3] * a[3]);
  return acc;
}
// The same for signed weights. `signed_start` is what the accumulator begins with, `signed_weights`
// what the loaded bytes become: an ISA without signed products stores an offset there.
using SignedWeights = U8x64;
KEDGE_INLINE SignedWeights signed_weights(U8x64 w) { return w; }
KEDGE_INLINE I32x16 signed_start(const BlockQ8Act&) { return set1(std::int32_t{0}); }
KEDGE_OUTLINE I32x16 dot_signed(I32x16 acc, SignedWeights w, const std::int8_t* a) {
  const auto s = [&](int j) { return static_cast<int>(static_cast<std::int8_t>(w.v[j])); };
  KEDGE_LANES(acc.v[i] +=
              s(4 * i) * a[0] + s(4 * i + 1) * a[1] + s(4 * i + 2) * a[2] + s(4 * i + 3) * a[3]);
  return acc;
}
// Stores past the caches what nobody will read soon; p is a multiple of 64 bytes. Other threads see
// it after stream_end() and what usually orders memory.
KEDGE_INLINE void stream(float* p, F32x16 a) { store(p, a); }
KEDGE_INLINE void stream_end() {}
KEDGE_INLINE void prefetch(const void*) {}

constexpr int max_columns = 4;  // columns per pass that keep accumulators close by
#undef KEDGE_LANES
#undef KEDGE_OUTLINE
