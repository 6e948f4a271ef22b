// Host side of conv_state on Vulkan: a dispatch makes y, a second one stores the columns, which may
// take the place of columns that the first one reads.
#pragma once

#include "kedge/abi/conv_state.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/conv_state.hpp"

KEDGE_DECLARE_SHADER(conv_state)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::ConvState> {
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::ConvState::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::ConvState::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "window", a.window, Element::f32));

    const auto runs = static_cast<std::uint32_t>(a.runs.rows() - 1);
    for (const std::uint32_t keep : {0u, 1u}) {
      vulkan::Dispatch d(vulkan::shader::conv_state, lanes);
      d.specialize(abi::ConvState::taps, static_cast<std::uint32_t>(a.weight.rows()));
      d.specialize(abi::ConvState::has_bias, a.bias.empty() ? 0 : 1);
      d.specialize(abi::ConvState::keep, keep);
      d.bind(a.x);
      d.bind(a.weight);
      d.bind(a.bias);
      d.bind(a.runs);
      d.bind(a.steps);
      d.bind(a.window);
      d.bind(a.y);
      d.constants_from(abi::ConvState::Push{static_cast<std::uint32_t>(rows), runs,
                                            static_cast<std::uint32_t>(a.x.width()),
                                            static_cast<std::uint32_t>(a.window_slots)});
      d.loops = runs + 2 * 8;
      const auto items = static_cast<std::uint64_t>(rows * a.x.width());
      KEDGE_CHECK(vulkan::spread(recorder.limits(), name, (items + lanes - 1) / lanes, 1, d));
      KEDGE_CHECK(recorder.dispatch(d));
    }
    return {};
  }
};

}  // namespace kedge::inline KEDGE_ABI
