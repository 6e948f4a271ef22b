// clip on the CPU, 16 values at a time.
#include "clip.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace app {
namespace KEDGE_ISA {
namespace {

using namespace kedge::cpu::KEDGE_ISA;

void clip_rows(const void* args, const cpu::Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const Clip::Args*>(args);
  const F32x16 low = set1(a.low), high = set1(a.high);
  const auto width = static_cast<int>(a.x.width());
  for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
    const float* x = a.x.row<float>(r);
    float* y = a.y.row<float>(r);
    for (int i = 0; i < width; i += 16) {
      F32x16 v = load_first(x + i, width - i < 16 ? width - i : 16);
      v = select(greater(low, v), low, v);
      v = select(greater(v, high), high, v);
      store_first(y + i, v, width - i < 16 ? width - i : 16);
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const ClipUnit KEDGE_UNIT(clip);
const ClipUnit KEDGE_UNIT(clip) = {KEDGE_ISA::clip_rows};

}  // namespace app
