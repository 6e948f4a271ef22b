// place_columns micro-kernel: a copy per row.
#include "kedge/kernel/cpu/place_columns.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

void place_rows(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::PlaceColumns::Args*>(args);
  for (std::size_t row = begin; row < end; ++row)
    __builtin_memcpy(a.y.row<float>(static_cast<std::int64_t>(row)) + a.first,
                     a.x.row<float>(static_cast<std::int64_t>(row)),
                     static_cast<std::size_t>(a.x.width()) * sizeof(float));
}

}  // namespace
}  // namespace KEDGE_ISA

extern const PlaceColumnsUnit KEDGE_UNIT(place_columns);
const PlaceColumnsUnit KEDGE_UNIT(place_columns) = {KEDGE_ISA::place_rows};

}  // namespace kedge::inline KEDGE_ABI::cpu
