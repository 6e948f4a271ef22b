// Host side of gated_rms_norm on Vulkan: one workgroup per part of a row.
#pragma once

#include "kedge/abi/gated_rms_norm.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/gated_rms_norm.hpp"

KEDGE_DECLARE_SHADER(gated_rms_norm_shared)
KEDGE_DECLARE_SHADER(gated_rms_norm_subgroup)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::GatedRmsNorm> {
  // Fixed: the order of the sum depends on it.
  static constexpr std::uint32_t lanes = 32;

  static Status record(const op::GatedRmsNorm::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::GatedRmsNorm::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "y", a.y, Element::f32));

    const vulkan::Limits& limits = recorder.limits();
    vulkan::Dispatch d(limits.subgroup_shuffle ? vulkan::shader::gated_rms_norm_subgroup
                                               : vulkan::shader::gated_rms_norm_shared,
                       lanes);
    d.specialize(abi::GatedRmsNorm::by_sigmoid, a.sigmoid ? 1 : 0);
    d.bind(a.x);
    d.bind(a.z);
    d.bind(a.weight);
    d.bind(a.y);
    const auto width = static_cast<std::uint32_t>(a.weight.width());
    const auto parts = static_cast<std::uint32_t>(rows * (a.x.width() / a.weight.width()));
    d.constants_from(abi::GatedRmsNorm::Push{parts, width, a.eps});
    d.loops = 2 * (width / lanes + 1) + 16;
    KEDGE_CHECK(vulkan::spread(limits, name, parts, 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
