// Host side of delta_gate on Vulkan: one invocation per value.
#pragma once

#include "kedge/abi/delta_gate.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/delta_gate.hpp"

KEDGE_DECLARE_SHADER(delta_gate)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::DeltaGate> {
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::DeltaGate::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::DeltaGate::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.a, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "a", a.a, Element::f32));

    vulkan::Dispatch d(vulkan::shader::delta_gate, lanes);
    d.bind(a.a);
    d.bind(a.b);
    d.bind(a.a_scale);
    d.bind(a.dt_bias);
    d.bind(a.decay);
    d.bind(a.beta);
    const auto heads = static_cast<std::uint32_t>(a.b.width());
    const auto channels = static_cast<std::uint32_t>(a.a.width() / a.b.width());
    d.constants_from(
        abi::DeltaGate::Push{static_cast<std::uint32_t>(rows), heads, channels, a.lower_bound});
    const std::uint64_t items = static_cast<std::uint64_t>(rows) * heads * (channels + 1);
    KEDGE_CHECK(vulkan::spread(recorder.limits(), name, (items + lanes - 1) / lanes, 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
