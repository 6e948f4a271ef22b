// Host side of add on Vulkan: one invocation per value.
#pragma once

#include "kedge/abi/add.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/add.hpp"

KEDGE_DECLARE_SHADER(add)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::Add> {
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::Add::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::Add::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.a, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "a", a.a, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "b", a.b, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "y", a.y, Element::f32));

    vulkan::Dispatch d(vulkan::shader::add, lanes);
    d.bind(a.a);
    d.bind(a.b);
    d.bind(a.y);
    const auto count = static_cast<std::uint32_t>(rows * a.a.width());
    d.constants_from(abi::Add::Push{count});
    KEDGE_CHECK(vulkan::spread(recorder.limits(), name, (count + lanes - 1) / lanes, 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
