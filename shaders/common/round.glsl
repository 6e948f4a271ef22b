// Rounding as the CPU does it, bit for bit, in integer arithmetic: a device's own conversions may
// round otherwise, and its division may be off by 2.5 units. C++ twin: core/half.hpp.
#ifndef KEDGE_COMMON_ROUND
#define KEDGE_COMMON_ROUND

// To nearest, ties to even; NaN stays NaN.
uint float_to_half(float value) {
  const uint bits = floatBitsToUint(value);
  const uint sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return sign | 0x7E00u | (magnitude >> 13 & 0x3FFu);
  if (magnitude >= 0x477FF000u) return sign | 0x7C00u;  // from 65520 on
  if (magnitude < 0x33000001u) return sign;             // up to 2^-25
  const int exponent = int(magnitude >> 23) - 127;
  const bool small = exponent < -14;  // subnormal: value = mantissa * 2^(exponent - 23)
  const uint shift = small ? uint(-exponent - 1) : 13u;
  const uint mantissa = small ? magnitude & 0x7FFFFFu | 0x800000u : magnitude & 0x7FFFFFu;
  const uint base = small ? 0u : uint(exponent + 15) << 10;
  const uint kept = mantissa >> shift;
  const uint rest = mantissa & (1u << shift) - 1u, middle = 1u << shift - 1u;
  return sign | base + kept + (rest > middle || rest == middle && (kept & 1u) != 0u ? 1u : 0u);
}

uint float_to_bf16(float value) {
  const uint bits = floatBitsToUint(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return bits >> 16 | 0x40u;
  return bits + 0x7FFFu + (bits >> 16 & 1u) >> 16;
}

// a / b for positive normal numbers with a normal quotient: long division, 24 bits and one to round.
float exact_divide(float a, float b) {
  const uint x = floatBitsToUint(a), y = floatBitsToUint(b);
  uint rest = x & 0x7FFFFFu | 0x800000u;
  const uint divisor = y & 0x7FFFFFu | 0x800000u;
  int exponent = int(x >> 23) - int(y >> 23) + 127;
  if (rest < divisor) {
    rest <<= 1;
    --exponent;
  }
  uint quotient = 0u;
  for (int bit = 0; bit < 25; ++bit) {
    quotient <<= 1;
    if (rest >= divisor) {
      rest -= divisor;
      quotient |= 1u;
    }
    rest <<= 1;
  }
  const uint kept = quotient >> 1;
  const bool up = (quotient & 1u) != 0u && (rest != 0u || (kept & 1u) != 0u);
  // A carry out of the mantissa raises the exponent, as it should.
  return uintBitsToFloat((uint(exponent - 1) << 23) + kept + (up ? 1u : 0u));
}

#endif
