// Host side of rms_norm on Vulkan: one workgroup per row, or part of a row.
#pragma once

#include "kedge/abi/rms_norm.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/rms_norm.hpp"

KEDGE_DECLARE_SHADER(rms_norm_shared)
KEDGE_DECLARE_SHADER(rms_norm_subgroup)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::RmsNorm> {
  // Fixed: the order of the sum depends on it.
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::RmsNorm::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::RmsNorm::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "y", a.y, Element::f32));

    const vulkan::Limits& limits = recorder.limits();
    vulkan::Dispatch d(limits.subgroup_shuffle ? vulkan::shader::rms_norm_subgroup
                                               : vulkan::shader::rms_norm_shared,
                       lanes);
    d.bind(a.x);
    d.bind(a.weight);
    d.bind(a.y);
    // Parts of a row lie one behind another: to the shader each is a row.
    const auto width = static_cast<std::uint32_t>(a.x.width() / a.heads);
    const auto parts = static_cast<std::uint32_t>(rows * a.heads);
    d.constants_from(abi::RmsNorm::Push{parts, width, a.eps});
    d.loops = 2 * (width / lanes + 1) + 16;
    KEDGE_CHECK(vulkan::spread(limits, name, parts, 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
