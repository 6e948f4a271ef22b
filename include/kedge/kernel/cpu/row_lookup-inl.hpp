// row_lookup micro-kernel: decodes one row per unit, value by value. One row per token is little
// work beside any product, so this has no vectors; integer and single rounded steps keep the bytes
// of decode_row on every ISA.
#include "kedge/kernel/cpu/panel.hpp"
#include "kedge/kernel/cpu/row_lookup.hpp"
#include "kedge/kernel/cpu/simd/simd.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

template <Element element>
void lookup_rows(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const op::RowLookup::Args*>(args);
  const std::int64_t width = a.weight.width(), rows = a.weight.rows();
  const bool packed = a.weight.layout == Layout::panel16;
  for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
    const std::int64_t token = a.token.as<std::int32_t>()[r];
    float* y = a.y.row<float>(r);
    if (token < 0 || token >= rows) {
      for (std::int64_t i = 0; i < width; ++i) y[i] = __builtin_nanf("");
    } else if (packed) {
      const std::byte* panel = a.weight.data + static_cast<std::size_t>(token / panel_rows) *
                                                   panel_bytes(element, width);
      decode_panel_row(element, panel, token % panel_rows, width, y);
    } else {
      const std::byte* row =
          a.weight.data + static_cast<std::size_t>(token) * row_bytes(element, width);
      decode_row(element, row, width, y);
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const RowLookupUnit KEDGE_UNIT(row_lookup);
const RowLookupUnit KEDGE_UNIT(row_lookup) = {{
#define KEDGE_FORMAT(stem, Type) KEDGE_ISA::lookup_rows<Element::stem>,
    KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
}};

}  // namespace kedge::inline KEDGE_ABI::cpu
