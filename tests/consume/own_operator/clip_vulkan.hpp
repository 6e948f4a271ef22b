// clip on Vulkan: one invocation per value.
#pragma once

#include "clip.hpp"
#include "clip_abi.h"
#include "kedge/backend/vulkan.hpp"

KEDGE_DECLARE_SHADER(clip)

template <>
struct kedge::Kernel<kedge::Vulkan, app::Clip> {
  static Status record(const app::Clip::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr std::uint32_t lanes = 64;
    vulkan::Dispatch d(vulkan::shader::clip, lanes);
    d.bind(a.x);
    d.bind(a.y);
    const auto count = static_cast<std::uint32_t>(rows * a.x.width());
    d.constants_from(abi::Clip::Push{count, a.low, a.high});
    KEDGE_CHECK(vulkan::spread(recorder.limits(), "clip", (count + lanes - 1) / lanes, 1, d));
    return recorder.dispatch(d);
  }
};
