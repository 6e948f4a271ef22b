// Host side of matmul on Vulkan, F32 activations. Lanes share an output, or each has outputs of its
// own, by device (Limits::output_lanes); the path is the same for 1 row and for 16. A tile is the
// next power of two that holds the rows, at most 16. A weight larger than the device's binding
// limit is bound in several blocks of rows.
#pragma once

#include "kedge/abi/matmul.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/kernel/vulkan/weight.hpp"
#include "kedge/op/matmul.hpp"

namespace kedge::inline KEDGE_ABI {

namespace vulkan::shader {
#define KEDGE_FORMAT(stem, Type)                                        \
  extern const Shader matmul_##stem##_shared, matmul_##stem##_subgroup, \
      matmul_##stem##_own_shared, matmul_##stem##_own_subgroup;
KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
}  // namespace vulkan::shader

template <>
struct Kernel<Vulkan, op::Matmul> {
  // Fixed: the order of the sum depends on it. A lane adds the values of step `lane` of every 32
  // steps (shaders/common/block.glsl).
  static constexpr std::uint32_t lanes = 32;
  // Of a device whose lanes have their own outputs: its subgroup.
  static constexpr std::uint32_t own_lanes = 8;
  static constexpr std::uint32_t max_tile = 16;

  static const vulkan::Shader& shader(Element weight, const vulkan::Limits& limits) noexcept {
    static constexpr const vulkan::Shader* table[][4] = {
#define KEDGE_FORMAT(stem, Type)                                                       \
  {&vulkan::shader::matmul_##stem##_shared, &vulkan::shader::matmul_##stem##_subgroup, \
   &vulkan::shader::matmul_##stem##_own_shared, &vulkan::shader::matmul_##stem##_own_subgroup},
        KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
    };
    return *table[static_cast<unsigned>(weight)][2 * limits.output_lanes + limits.subgroup_shuffle];
  }

  // Outputs that a lane works on at once; no byte depends on it. What it reads of x serves all of
  // them, so more is better as long as registers last and there are groups for every core. Few
  // different numbers, because each is a pipeline that a driver may take a second to compile.
  static std::uint32_t lane_outputs(const vulkan::Limits& limits, std::uint32_t tile,
                                    std::uint64_t outputs) noexcept {
    if (!limits.output_lanes) return tile == 1 || outputs < 64 ? 1 : tile < 16 ? 4 : 2;
    std::uint32_t count = limits.subgroup_shuffle ? 4 : 1;
    while (count > 1 && outputs < std::uint64_t{4} * own_lanes * count) count /= 2;
    return count;
  }

  // No byte depends on it. Without shuffles, lanes with their own outputs fetch all of x
  // themselves, and code for a large tile takes a driver seconds to compile.
  static std::uint32_t tile_rows(const vulkan::Limits& limits, std::int64_t rows) noexcept {
    const std::uint32_t most = limits.output_lanes && !limits.subgroup_shuffle ? 2 : max_tile;
    std::uint32_t tile = 1;
    while (tile < rows && tile < most) tile *= 2;
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
    const std::uint32_t tile = tile_rows(limits, rows);
    const auto width = static_cast<std::uint32_t>(a.weight.width());
    const std::uint32_t steps = (width - 1) / (is_quantized(a.weight.element) ? 32 : 8) + 1;
    const bool own = limits.output_lanes;
    const std::uint32_t at_once = lane_outputs(limits, tile, outputs);

    for (std::uint64_t first = 0; first < outputs; first += block) {
      const std::uint64_t count = outputs - first < block ? outputs - first : block;
      vulkan::Dispatch d(shader(a.weight.element, limits), own ? own_lanes : lanes);
      d.specialize(abi::Matmul::tile_rows, tile);
      d.specialize(abi::Matmul::lane_outputs, at_once);
      d.bind(a.x);
      d.bind(a.weight, first * row, count * row);
      d.bind(a.residual);
      d.bind(a.y);
      d.constants_from(abi::Matmul::Push{
          static_cast<std::uint32_t>(rows), width, static_cast<std::uint32_t>(count),
          static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(a.y.width()),
          a.residual.empty()                ? 0u
          : op::Matmul::is_bias(a.residual) ? 2u
                                            : 1u});
      // Loops over a step, a tile and a lane's outputs are unrolled.
      d.loops = own ? steps : steps / lanes + 1 + 64;
      const std::uint64_t group_outputs = own ? own_lanes * at_once : at_once;
      KEDGE_CHECK(vulkan::spread(limits, name, (count + group_outputs - 1) / group_outputs,
                                 (static_cast<std::uint64_t>(rows) + tile - 1) / tile, d));
      KEDGE_CHECK(recorder.dispatch(d));
    }
    return {};
  }
};

}  // namespace kedge::inline KEDGE_ABI
