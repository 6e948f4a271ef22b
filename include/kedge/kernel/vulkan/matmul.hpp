// Host side of matmul on Vulkan, F32 activations: one workgroup per output and tile of rows. The
// path is the same for 1 row and for 16; a tile is the next power of two that holds the rows, at
// most 16. A weight larger than the device's binding limit is bound in several blocks of rows.
#pragma once

#include "kedge/abi/matmul.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/matmul.hpp"

KEDGE_DECLARE_SHADER(matmul_f32_shared)
KEDGE_DECLARE_SHADER(matmul_f32_subgroup)
KEDGE_DECLARE_SHADER(matmul_q8_0_shared)
KEDGE_DECLARE_SHADER(matmul_q8_0_subgroup)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::Matmul> {
  // Fixed: the order of the sum depends on it. A lane adds values lane * step + i of every 32
  // steps.
  static constexpr std::uint32_t lanes = 32;
  static constexpr std::uint32_t max_tile = 16;

  static const vulkan::Shader* shader(Element weight, bool subgroup) noexcept {
    namespace shader = vulkan::shader;
    if (weight == Element::f32)
      return subgroup ? &shader::matmul_f32_subgroup : &shader::matmul_f32_shared;
    if (weight == Element::q8_0)
      return subgroup ? &shader::matmul_q8_0_subgroup : &shader::matmul_q8_0_shared;
    return nullptr;
  }

  static std::uint32_t tile_rows(std::int64_t rows) noexcept {
    std::uint32_t tile = 1;
    while (tile < rows && tile < max_tile) tile *= 2;
    return tile;
  }

  // Weight rows that one binding may hold, so that the next block starts aligned; 0: not even one.
  static std::uint64_t block_rows(const vulkan::Limits& limits, const Tensor& weight) noexcept {
    const std::uint64_t row = row_bytes(weight.element, weight.width());
    const auto outputs = static_cast<std::uint64_t>(weight.rows());
    if (row * outputs <= limits.max_binding_bytes) return outputs;
    std::uint64_t granule = 1;  // the alignment is a power of two
    while (granule * row % limits.binding_alignment != 0) granule *= 2;
    return limits.max_binding_bytes / (granule * row) * granule;
  }

  static Status record(const op::Matmul::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::Matmul::name;
    const vulkan::Limits& limits = recorder.limits();
    const vulkan::Shader* module = shader(a.weight.element, limits.subgroup_shuffle);
    if (module == nullptr)
      return fail(Code::unsupported, name, "weight: no shader for %s", to_string(a.weight.element));
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "weight", a.weight, a.weight.element));
    KEDGE_CHECK(vulkan::expect_element(name, "y", a.y, Element::f32));
    if (op::Matmul::is_bias(a.residual))
      return fail(Code::unsupported, name, "residual: no shader for one row that all rows share");
    if (!a.residual.empty())
      KEDGE_CHECK(vulkan::expect_element(name, "residual", a.residual, Element::f32));

    const auto outputs = static_cast<std::uint64_t>(a.weight.rows());
    const std::uint64_t block = block_rows(limits, a.weight);
    const std::uint64_t row = row_bytes(a.weight.element, a.weight.width());
    if (block == 0)
      return fail(Code::unsupported, name,
                  "weight: a row has %llu bytes, the device binds at most %llu",
                  static_cast<unsigned long long>(row),
                  static_cast<unsigned long long>(limits.max_binding_bytes));
    const std::uint32_t tile = tile_rows(rows);
    const auto width = static_cast<std::uint32_t>(a.weight.width());
    const std::uint32_t step = is_quantized(a.weight.element) ? 4 : 1;

    for (std::uint64_t first = 0; first < outputs; first += block) {
      const std::uint64_t count = outputs - first < block ? outputs - first : block;
      vulkan::Dispatch d(*module, lanes);
      d.specialize(abi::Matmul::tile_rows, tile);
      d.specialize(abi::Matmul::has_residual, a.residual.empty() ? 0 : 1);
      d.bind(a.x);
      d.bind(a.weight, first * row, count * row);
      d.bind(a.residual);
      d.bind(a.y);
      d.constants_from(abi::Matmul::Push{
          static_cast<std::uint32_t>(rows), width, static_cast<std::uint32_t>(count),
          static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(a.y.width())});
      d.loops = std::uint64_t{width / step / lanes + 1} * (1 + tile * (1 + step)) + tile * 32;
      KEDGE_CHECK(vulkan::spread(limits, name, count,
                                 (static_cast<std::uint64_t>(rows) + tile - 1) / tile, d));
      KEDGE_CHECK(recorder.dispatch(d));
    }
    return {};
  }
};

}  // namespace kedge::inline KEDGE_ABI
