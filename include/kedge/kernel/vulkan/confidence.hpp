// Host side of confidence on Vulkan: one workgroup per row.
#pragma once

#include "kedge/abi/confidence.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/confidence.hpp"

KEDGE_DECLARE_SHADER(confidence_shared)
KEDGE_DECLARE_SHADER(confidence_subgroup)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::Confidence> {
  // Fixed: the order of the sum depends on it.
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::Confidence::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::Confidence::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.h, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "h", a.h, Element::f32));
    const vulkan::Limits& limits = recorder.limits();
    vulkan::Dispatch d(limits.subgroup_shuffle ? vulkan::shader::confidence_subgroup
                                               : vulkan::shader::confidence_shared,
                       lanes);
    d.bind(a.h);
    d.bind(a.e);
    d.bind(a.weight);
    d.bind(a.bias);
    d.bind(a.y);
    const auto width = static_cast<std::uint32_t>(a.h.width());
    const auto rank = static_cast<std::uint32_t>(a.e.width());
    d.constants_from(abi::Confidence::Push{static_cast<std::uint32_t>(rows), width, rank,
                                           a.bias.empty() ? 0u : 1u});
    d.loops = (width + rank) / lanes + 2 + 16;
    KEDGE_CHECK(vulkan::spread(limits, name, static_cast<std::uint64_t>(rows), 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
