// rms_norm over Google Highway, one static target a unit. 16 virtual lanes are 16 / Lanes()
// vectors, since Highway's vectors are as wide as the target's.
#include <hwy/highway.h>

namespace {
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr D d;
constexpr int step = static_cast<int>(hn::MaxLanes(D())), parts = 16 / step;

struct F32x16 {
  V v[parts];
};
HWY_INLINE float reduce_add(const F32x16& sum) {
  HWY_ALIGN float lane[16];
  for (int p = 0; p < parts; ++p) hn::Store(sum.v[p], d, lane + p * step);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
  return lane[0];
}
void rms_norm(const float* x, const float* weight, float* y, int rows, int width) {
  for (int r = 0; r < rows; ++r, x += width, y += width) {
    F32x16 sum;
    for (V& v : sum.v) v = hn::Zero(d);
    for (int i = 0; i < width; i += 16)
      for (int p = 0; p < parts; ++p) {
        const V v = hn::LoadU(d, x + i + p * step);
        sum.v[p] = hn::MulAdd(v, v, sum.v[p]);
      }
    const float mean = reduce_add(sum) / static_cast<float>(width);
    const V scale = hn::Set(d, 1.0f / __builtin_sqrtf(mean + 1e-5f));
    for (int i = 0; i < width; i += step)
      hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, x + i), scale), hn::LoadU(d, weight + i)), d, y + i);
  }
}
}  // namespace

extern "C" void NAME(const float* x, const float* weight, float* y, int rows, int width) {
  rms_norm(x, weight, y, rows, width);
}
