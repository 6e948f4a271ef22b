// Host side of sigmoid_mul on Vulkan: one invocation per value.
#pragma once

#include "kedge/abi/sigmoid_mul.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/sigmoid_mul.hpp"

KEDGE_DECLARE_SHADER(sigmoid_mul)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::SigmoidMul> {
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::SigmoidMul::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::SigmoidMul::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "gate", a.gate, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "y", a.y, Element::f32));

    vulkan::Dispatch d(vulkan::shader::sigmoid_mul, lanes);
    d.bind(a.x);
    d.bind(a.gate);
    d.bind(a.y);
    const auto count = static_cast<std::uint32_t>(rows * a.x.width());
    d.constants_from(abi::SigmoidMul::Push{count});
    KEDGE_CHECK(vulkan::spread(recorder.limits(), name, (count + lanes - 1) / lanes, 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
