// add micro-kernel: one rounded sum per value.
#include "kedge/kernel/cpu/add.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

void add_chunks(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& t = *static_cast<const op::Add::Args*>(args);
  for (std::size_t unit = begin; unit < end; ++unit) {
    const RowChunk c = row_chunk(unit, t.a.width(), elementwise_chunk);
    const float* a = t.a.row<float>(c.row) + c.begin;
    const float* b = t.b.row<float>(c.row) + c.begin;
    float* y = t.y.row<float>(c.row) + c.begin;
    const auto n = static_cast<int>(c.end - c.begin);
    int i = 0;
    for (; i + 16 <= n; i += 16) store(y + i, add(load(a + i), load(b + i)));
    if (i < n) store_first(y + i, add(load_first(a + i, n - i), load_first(b + i, n - i)), n - i);
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const AddUnit KEDGE_UNIT(add);
const AddUnit KEDGE_UNIT(add) = {KEDGE_ISA::add_chunks};

}  // namespace kedge::inline KEDGE_ABI::cpu
