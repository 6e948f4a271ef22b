// exp in additions and multiplications only, which Vulkan rounds correctly; the built-in may differ
// by 3 + 2|x| units between devices. The method of kernel/cpu/simd/math-inl.hpp without fused
// multiply-adds: x = n ln2 + r, Taylor polynomial of degree 7. Below -87.3 it is 0, above 88 e^88.
#ifndef KEDGE_COMMON_MATH
#define KEDGE_COMMON_MATH

float exact_exp(float x) {
  const float limited = min(88.0, max(-87.3, x));
  precise float n = roundEven(limited * 1.44269504);
  precise float r = limited - n * 0.693359375;  // ln2 in two parts; this product is exact
  r = r + n * 2.12194440e-4;
  precise float p = 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  precise float y = p * intBitsToFloat((int(n) + 127) << 23);
  return isnan(x) ? x : x < -87.3 ? 0.0 : y;
}

// 1 / (1 + e^-x)
float exact_sigmoid(float x) {
  precise float y = 1.0 / (1.0 + exact_exp(-x));
  return y;
}

// log(1 + e^x) = max(x, 0) + log1p(t), t = e^-|x| <= 1. log1p(t) = 2 atanh(z), z = t / (2 + t) <= 1/3,
// by its series up to z^19, whose rest is below 1e-10 of it.
float exact_softplus(float x) {
  const float t = exact_exp(-abs(x));
  precise float z = t / (2.0 + t);
  precise float z2 = z * z;
  precise float p = 1.0 / 19.0;
  p = p * z2 + 1.0 / 17.0;
  p = p * z2 + 1.0 / 15.0;
  p = p * z2 + 1.0 / 13.0;
  p = p * z2 + 1.0 / 11.0;
  p = p * z2 + 1.0 / 9.0;
  p = p * z2 + 1.0 / 7.0;
  p = p * z2 + 1.0 / 5.0;
  p = p * z2 + 1.0 / 3.0;
  p = p * z2 + 1.0;
  precise float y = max(x, 0.0) + 2.0 * (z * p);
  return isnan(x) ? x : y;
}

// Near 0 the difference of two numbers near 1: its error is one of 1, not of the result.
float exact_tanh(float x) {
  precise float y = 1.0 - 2.0 / (1.0 + exact_exp(x + x));
  return y;
}

#endif
