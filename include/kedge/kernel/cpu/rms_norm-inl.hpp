// rms_norm micro-kernel. Rows lie without gaps, so the parts of all rows are rows of x's memory cut
// at the weight's width. Plan, per part:
//   1. sum of squares in 16 lanes (value i in lane i mod 16), folded by the fixed tree;
//   2. scale = 1 / sqrt(sum / width + eps), with exact division and square root;
//   3. y = (x * scale) * weight, stored as F32 or rounded to int8 blocks while in registers.
#include "kedge/kernel/cpu/rms_norm.hpp"
#include "kedge/kernel/cpu/round_q8-inl.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

template <bool rounded>
void rms_norm_rows(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::RmsNorm::Args*>(args);
  const auto width = static_cast<int>(a.weight.width());
  const float* weight = a.weight.as<float>();
  for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
    const float* x = a.x.as<float>() + r * width;
    F32x16 sum = zero();
    int i = 0;
    for (; i + 16 <= width; i += 16) {
      const F32x16 v = load(x + i);
      sum = fma(v, v, sum);
    }
    if (i < width) {
      const F32x16 v = load_first(x + i, width - i);
      sum = fma(v, v, sum);
    }
    const float mean = reduce_add(sum) / static_cast<float>(width);
    const F32x16 scale = set1(1.0f / __builtin_sqrtf(mean + a.eps));
    if constexpr (rounded) {
      BlockQ8Act* y = a.y.as<BlockQ8Act>() + r * (width / 32);
      for (i = 0; i < width; i += 32)
        round_block(mul(mul(load(x + i), scale), load(weight + i)),
                    mul(mul(load(x + i + 16), scale), load(weight + i + 16)), y[i / 32]);
    } else {
      float* y = a.y.as<float>() + r * width;
      for (i = 0; i + 16 <= width; i += 16)
        store(y + i, mul(mul(load(x + i), scale), load(weight + i)));
      if (i < width)
        store_first(
            y + i, mul(mul(load_first(x + i, width - i), scale), load_first(weight + i, width - i)),
            width - i);
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const RmsNormUnit KEDGE_UNIT(rms_norm);
const RmsNormUnit KEDGE_UNIT(rms_norm) = {KEDGE_ISA::rms_norm_rows<false>,
                                          KEDGE_ISA::rms_norm_rows<true>};

}  // namespace kedge::inline KEDGE_ABI::cpu
