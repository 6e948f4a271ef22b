// place_columns micro-kernel: copies.
#include "kedge/kernel/cpu/place_columns.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

void place_chunks(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::PlaceColumns::Args*>(args);
  for (std::size_t unit = begin; unit < end; ++unit) {
    const RowChunk c = row_chunk(unit, a.x.width(), elementwise_chunk);
    __builtin_memcpy(a.y.row<float>(c.row) + a.column + c.begin, a.x.row<float>(c.row) + c.begin,
                     static_cast<std::size_t>(c.end - c.begin) * sizeof(float));
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const PlaceColumnsUnit KEDGE_UNIT(place_columns);
const PlaceColumnsUnit KEDGE_UNIT(place_columns) = {KEDGE_ISA::place_chunks};

}  // namespace kedge::inline KEDGE_ABI::cpu
