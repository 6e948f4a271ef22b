// gated_rms_norm micro-kernel. Rows lie without gaps, so the parts of all rows are rows of x's
// memory cut at the weight's width. Plan, per part:
//   1. sum of squares in 16 lanes (value i in lane i mod 16), folded by the fixed tree;
//   2. scale = 1 / sqrt(sum / width + eps), with exact division and square root;
//   3. y = ((x * scale) * weight) * gate(z), stored as F32 or rounded to int8 blocks while in
//      registers.
#include "kedge/kernel/cpu/gated_rms_norm.hpp"
#include "kedge/kernel/cpu/round_q8-inl.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

template <bool by_sigmoid>
KEDGE_INLINE F32x16 gated(F32x16 x, F32x16 scale, F32x16 weight, F32x16 z) {
  const F32x16 normalised = mul(mul(x, scale), weight);
  if constexpr (by_sigmoid) return mul(normalised, sigmoid(z));
  else return mul(normalised, div(z, add(set1(1.0f), exp(sub(zero(), z)))));
}

template <bool by_sigmoid, bool rounded>
void gated_rms_norm_parts(const void* args, const Launch&, std::size_t begin,
                          std::size_t end) noexcept {
  const auto& a = *static_cast<const op::GatedRmsNorm::Args*>(args);
  const auto width = static_cast<int>(a.weight.width());
  const float* weight = a.weight.as<float>();
  for (auto part = static_cast<std::int64_t>(begin); part < static_cast<std::int64_t>(end);
       ++part) {
    const float* x = a.x.as<float>() + part * width;
    const float* z = a.z.as<float>() + part * width;
    F32x16 sum = zero();
    for (int i = 0; i < width; i += 16) {
      const F32x16 v = width - i < 16 ? load_first(x + i, width - i) : load(x + i);
      sum = fma(v, v, sum);
    }
    const float mean = reduce_add(sum) / static_cast<float>(width);
    const F32x16 scale = set1(1.0f / __builtin_sqrtf(mean + a.eps));
    if constexpr (rounded) {
      BlockQ8Act* y = a.y.as<BlockQ8Act>() + part * (width / 32);
      for (int i = 0; i < width; i += 32)
        round_block(
            gated<by_sigmoid>(load(x + i), scale, load(weight + i), load(z + i)),
            gated<by_sigmoid>(load(x + i + 16), scale, load(weight + i + 16), load(z + i + 16)),
            y[i / 32]);
    } else {
      float* y = a.y.as<float>() + part * width;
      int i = 0;
      for (; i + 16 <= width; i += 16)
        store(y + i, gated<by_sigmoid>(load(x + i), scale, load(weight + i), load(z + i)));
      const int n = width - i;
      if (n > 0)
        store_first(y + i,
                    gated<by_sigmoid>(load_first(x + i, n), scale, load_first(weight + i, n),
                                      load_first(z + i, n)),
                    n);
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const GatedRmsNormUnit KEDGE_UNIT(gated_rms_norm);
const GatedRmsNormUnit KEDGE_UNIT(gated_rms_norm) = {
    {{KEDGE_ISA::gated_rms_norm_parts<false, false>, KEDGE_ISA::gated_rms_norm_parts<false, true>},
     {KEDGE_ISA::gated_rms_norm_parts<true, false>, KEDGE_ISA::gated_rms_norm_parts<true, true>}}};

}  // namespace kedge::inline KEDGE_ABI::cpu
