// confidence micro-kernel: one product of a few thousand values per row.
#include "kedge/kernel/cpu/confidence.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

KEDGE_INLINE F32x16 add_product(const float* x, const float* weight, int n, F32x16 sum) {
  int i = 0;
  for (; i + 16 <= n; i += 16) sum = fma(load(x + i), load(weight + i), sum);
  if (i < n) sum = fma(load_first(x + i, n - i), load_first(weight + i, n - i), sum);
  return sum;
}

void confidence_rows(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::Confidence::Args*>(args);
  const auto width = static_cast<int>(a.h.width());
  const float* weight = a.weight.as<float>();
  for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
    F32x16 sum = add_product(a.h.row<float>(r), weight, width, zero());
    if (!a.e.empty())
      sum = add_product(a.e.row<float>(r), weight + width, static_cast<int>(a.e.width()), sum);
    const float bias = a.bias.empty() ? 0 : a.bias.as<float>()[0];
    store_first(a.y.row<float>(r), sigmoid(set1(reduce_add(sum) + bias)), 1);
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const ConfidenceUnit KEDGE_UNIT(confidence);
const ConfidenceUnit KEDGE_UNIT(confidence) = {KEDGE_ISA::confidence_rows};

}  // namespace kedge::inline KEDGE_ABI::cpu
