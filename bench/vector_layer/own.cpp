// rms_norm over Kedge's vector layer; highway.cpp is the same kernel over Google Highway.
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA {
namespace {
void rms_norm(const float* x, const float* weight, float* y, int rows, int width) {
  for (int r = 0; r < rows; ++r, x += width, y += width) {
    F32x16 sum = zero();
    for (int i = 0; i < width; i += 16) {
      const F32x16 v = load(x + i);
      sum = fma(v, v, sum);
    }
    const float mean = reduce_add(sum) / static_cast<float>(width);
    const F32x16 scale = set1(1.0f / __builtin_sqrtf(mean + 1e-5f));
    for (int i = 0; i < width; i += 16)
      store(y + i, mul(mul(load(x + i), scale), load(weight + i)));
  }
}
}  // namespace
}  // namespace kedge::inline KEDGE_ABI::cpu::KEDGE_ISA

extern "C" void NAME(const float* x, const float* weight, float* y, int rows, int width) {
  kedge::cpu::KEDGE_ISA::rms_norm(x, weight, y, rows, width);
}
