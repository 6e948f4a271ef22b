// Host side of rope on Vulkan: one invocation per pair.
#pragma once

#include "kedge/abi/rope.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/rope.hpp"

KEDGE_DECLARE_SHADER(rope)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::Rope> {
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::Rope::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::Rope::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "table", a.table, Element::f32));

    const auto rotary = static_cast<std::uint32_t>(op::Rope::rotary_dims(a));
    const auto head_dim = static_cast<std::uint32_t>(a.head_dim);
    const auto row_heads = static_cast<std::uint32_t>(a.x.width() / a.head_dim);
    const std::uint32_t heads = static_cast<std::uint32_t>(rows) * row_heads;
    vulkan::Dispatch d(vulkan::shader::rope, lanes);
    d.specialize(abi::Rope::interleaved, a.interleaved ? 1 : 0);
    d.specialize(abi::Rope::streams, op::Rope::sectioned(a) ? 3 : 1);
    d.bind(a.x);
    d.bind(a.table);
    d.bind(a.position);
    d.bind(a.y);
    d.constants_from(abi::Rope::Push{heads, row_heads, head_dim, rotary,
                                     static_cast<std::uint32_t>(a.section_height),
                                     static_cast<std::uint32_t>(a.section_width)});
    const std::uint64_t items = std::uint64_t{heads} * (head_dim - rotary / 2);
    KEDGE_CHECK(vulkan::spread(recorder.limits(), name, (items + lanes - 1) / lanes, 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
