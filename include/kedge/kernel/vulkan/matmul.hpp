// Host side of matmul on Vulkan, F32 activations: one workgroup per output and tile of rows. The
// path is the same for 1 row and for 16; a tile is the next power of two that holds the rows, at
// most 16. A weight larger than the device's binding limit is bound in several blocks of rows.
#pragma once

#include "kedge/abi/matmul.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/kernel/vulkan/weight.hpp"
#include "kedge/op/matmul.hpp"

namespace kedge::inline KEDGE_ABI {

namespace vulkan::shader {
#define KEDGE_FORMAT(stem, Type) \
  extern const Shader matmul_##stem##_shared, matmul_##stem##_subgroup;
KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
}  // namespace vulkan::shader

template <>
struct Kernel<Vulkan, op::Matmul> {
  // Fixed: the order of the sum depends on it. A lane adds the values of step `lane` of every 32
  // steps (shaders/common/block.glsl).
  static constexpr std::uint32_t lanes = 32;
  static constexpr std::uint32_t max_tile = 16;

  static const vulkan::Shader& shader(Element weight, bool subgroup) noexcept {
    static constexpr const vulkan::Shader* table[][2] = {
#define KEDGE_FORMAT(stem, Type) \
  {&vulkan::shader::matmul_##stem##_shared, &vulkan::shader::matmul_##stem##_subgroup},
        KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
    };
    return *table[static_cast<unsigned>(weight)][subgroup];
  }

  static std::uint32_t tile_rows(std::int64_t rows) noexcept {
    std::uint32_t tile = 1;
    while (tile < rows && tile < max_tile) tile *= 2;
    return tile;
  }

  static Status record(const op::Matmul::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::Matmul::name;
    const vulkan::Limits& limits = recorder.limits();
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "weight", a.weight, a.weight.element));
    KEDGE_CHECK(vulkan::expect_element(name, "y", a.y, Element::f32));
    if (!a.residual.empty())
      KEDGE_CHECK(vulkan::expect_element(name, "residual", a.residual, Element::f32));

    const auto outputs = static_cast<std::uint64_t>(a.weight.rows());
    KEDGE_TRY(const std::uint64_t block, vulkan::block_rows(limits, name, a.weight));
    const std::uint64_t row = row_bytes(a.weight.element, a.weight.width());
    const std::uint32_t tile = tile_rows(rows);
    const auto width = static_cast<std::uint32_t>(a.weight.width());
    const std::uint32_t step = is_quantized(a.weight.element) ? 32 : 8;

    for (std::uint64_t first = 0; first < outputs; first += block) {
      const std::uint64_t count = outputs - first < block ? outputs - first : block;
      vulkan::Dispatch d(shader(a.weight.element, limits.subgroup_shuffle), lanes);
      d.specialize(abi::Matmul::tile_rows, tile);
      d.specialize(abi::Matmul::has_residual, a.residual.empty()                ? 0
                                              : op::Matmul::is_bias(a.residual) ? 2
                                                                                : 1);
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
