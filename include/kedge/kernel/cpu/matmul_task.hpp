// The border inside matmul: a product in raw pointers, which a format's unit computes for a range
// of panels. Units see no more of the operator than this, so that a change to it does not build
// them again: together they take most of a minute.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/kernel/cpu/panel.hpp"
#include "kedge/kernel/cpu/phase.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

struct MatmulTask {
  const std::byte* weight;
  std::size_t panel_bytes;
  std::int64_t width, outputs;
  const std::byte* x;
  std::int64_t x_stride;         // bytes from row to row
  const float* residual;         // null: none
  std::int64_t residual_stride;  // values from row to row; 0 for a bias
  float* y;
  std::int64_t y_stride;           // values from row to row
  std::size_t worth_fetching = 0;  // panels from `weight` on that are read soon; 0: those of a call
};

struct MatmulUnit {
  void (*body)(const MatmulTask& task, std::int64_t rows, std::size_t first_panel,
               std::size_t end) noexcept;
};
// One per format: kernel/cpu/matmul/FORMAT-inl.hpp ends with KEDGE_MATMUL_UNIT.
#define KEDGE_FORMAT(stem, Type) KEDGE_DECLARE_DOT_UNITS(MatmulUnit, matmul_##stem)
KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
#define KEDGE_MATMUL_UNIT(name, family, Type)        \
  extern const MatmulUnit KEDGE_UNIT(matmul_##name); \
  const MatmulUnit KEDGE_UNIT(matmul_##name) = {KEDGE_ISA::family<KEDGE_ISA::Matmul##Type>};

inline const MatmulUnit& matmul_unit(Isa isa, Element weight) noexcept {
  using Find = const MatmulUnit& (*)(Isa) noexcept;
  constexpr Find table[] = {
#define KEDGE_FORMAT(stem, Type) matmul_##stem##_unit,
      KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
  };
  return table[static_cast<unsigned>(weight)](isa);
}

}  // namespace kedge::inline KEDGE_ABI::cpu
