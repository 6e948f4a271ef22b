// Host side of matmul_argmax on the CPU; its kernels are those of matmul and argmax. Two phases:
//   1. a unit is 512 outputs: their products for all rows, then the best of each row while they are
//      in the nearest caches. Where nobody wants the products they stay in a room on the stack and
//      never reach memory.
//   2. the best of those, one unit per row.
#pragma once

#include "kedge/kernel/cpu/argmax.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/op/matmul_argmax.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {

template <Isa isa>
void matmul_argmax(const void* args, const Launch& launch, std::size_t begin,
                   std::size_t end) noexcept {
  using op::MatmulArgmax;
  constexpr std::int64_t chunk = MatmulArgmax::chunk, room_rows = 16;
  constexpr auto panels = static_cast<std::size_t>(chunk / panel_rows);
  const auto& a = *static_cast<const MatmulArgmax::Args*>(args);
  const std::int64_t rows = launch.outputs, all = a.weight.rows();
  const bool wanted = a.wanted.empty() || *a.wanted.as<std::int32_t>() != 0 || rows > room_rows;
  alignas(64) float room[room_rows * chunk];
  const MatmulTask whole = matmul_task(MatmulArgmax::product(a));
  for (std::size_t unit = begin; unit < end; ++unit) {
    const std::int64_t first = static_cast<std::int64_t>(unit) * chunk;
    MatmulTask part = whole;
    part.weight += unit * panels * whole.panel_bytes;
    part.outputs = all - first < chunk ? all - first : chunk;
    // The next unit's weights are fetched during this one.
    part.worth_fetching = (end - unit) * panels;
    const auto last = static_cast<std::size_t>(panel_count(all)) - unit * panels;
    if (part.worth_fetching > last) part.worth_fetching = last;
    part.y = wanted ? whole.y + first : room;
    part.y_stride = wanted ? whole.y_stride : chunk;
    matmul_unit(isa, a.weight.element)
        .body(part, rows, 0, static_cast<std::size_t>(panel_count(part.outputs)));
    for (std::int64_t r = 0; r < rows; ++r) {
      const ArgmaxBest best =
          argmax_unit(isa).best(part.y + r * part.y_stride, static_cast<int>(part.outputs));
      a.chunk_value.row<float>(r)[unit] = best.value;
      a.chunk_index.row<std::int32_t>(r)[unit] =
          best.index < 0 ? -1 : best.index + static_cast<std::int32_t>(first);
    }
  }
}

inline void matmul_argmax_rows(const void* args, const Launch&, std::size_t begin,
                               std::size_t end) noexcept {
  const auto& a = *static_cast<const op::MatmulArgmax::Args*>(args);
  for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r)
    choose_chunk(a.chunk_value.row<float>(r), a.chunk_index.row<std::int32_t>(r),
                 op::MatmulArgmax::chunks(a), *a.value.row<float>(r),
                 *a.index.row<std::int32_t>(r));
}

}  // namespace cpu

template <>
struct Kernel<Cpu, op::MatmulArgmax> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::MatmulArgmax::Args& a) noexcept {
    // What the product cannot take is its error.
    KEDGE_TRY(const cpu::PhaseList product,
              (Kernel<Cpu, op::Matmul>::phases(isa, op::MatmulArgmax::product(a))));
    static_cast<void>(product);
    using enum cpu::Isa;
    cpu::PhaseList list;
    list.item[list.count++] = {isa == avx512    ? cpu::matmul_argmax<avx512>
                               : isa == avxvnni ? cpu::matmul_argmax<avxvnni>
                               : isa == avx2    ? cpu::matmul_argmax<avx2>
                               : isa == neon    ? cpu::matmul_argmax<neon>
                                                : cpu::matmul_argmax<scalar>,
                               units};
    list.item[list.count++] = {cpu::matmul_argmax_rows, cpu::one_unit_per_output};
    return list;
  }

 private:
  static std::size_t units(const void* args, const cpu::Launch& launch) noexcept {
    if (launch.outputs == 0) return 0;
    return static_cast<std::size_t>(
        op::MatmulArgmax::chunks(*static_cast<const op::MatmulArgmax::Args*>(args)));
  }
};

}  // namespace kedge::inline KEDGE_ABI
