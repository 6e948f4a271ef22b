// Host side of silu_mul on Vulkan: one invocation per value.
#pragma once

#include "kedge/abi/silu_mul.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/silu_mul.hpp"

KEDGE_DECLARE_SHADER(silu_mul)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::SiluMul> {
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::SiluMul::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::SiluMul::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.gate, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "gate", a.gate, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "up", a.up, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "y", a.y, Element::f32));

    vulkan::Dispatch d(vulkan::shader::silu_mul, lanes);
    d.bind(a.gate);
    d.bind(a.up);
    d.bind(a.y);
    const auto count = static_cast<std::uint32_t>(rows * a.gate.width());
    d.constants_from(abi::SiluMul::Push{count});
    KEDGE_CHECK(vulkan::spread(recorder.limits(), name, (count + lanes - 1) / lanes, 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
