// Host side of place_columns on Vulkan: one invocation per value.
#pragma once

#include "kedge/abi/place_columns.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/place_columns.hpp"

KEDGE_DECLARE_SHADER(place_columns)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::PlaceColumns> {
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::PlaceColumns::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::PlaceColumns::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "y", a.y, Element::f32));
    vulkan::Dispatch d(vulkan::shader::place_columns, lanes);
    d.bind(a.x);
    d.bind(a.y);
    const auto width = static_cast<std::uint32_t>(a.x.width());
    d.constants_from(abi::PlaceColumns::Push{static_cast<std::uint32_t>(rows), width,
                                             static_cast<std::uint32_t>(a.y.width()),
                                             static_cast<std::uint32_t>(a.first)});
    const std::uint64_t count = static_cast<std::uint64_t>(rows) * width;
    KEDGE_CHECK(vulkan::spread(recorder.limits(), name, (count + lanes - 1) / lanes, 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
