// Host side of argmax on Vulkan: one workgroup per chunk of a row, then one per row.
#pragma once

#include "kedge/abi/argmax.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/argmax.hpp"

KEDGE_DECLARE_SHADER(argmax)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::Argmax> {
  // A power of two. Free to choose: the result is the same for all.
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::Argmax::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::Argmax::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    const auto width = static_cast<std::uint32_t>(a.x.width());
    const auto chunks = static_cast<std::uint32_t>(op::Argmax::chunks(a));
    for (const std::uint32_t of_chunks : {0u, 1u}) {
      vulkan::Dispatch d(vulkan::shader::argmax, lanes);
      d.specialize(abi::Argmax::of_chunks, of_chunks);
      d.bind(a.x);
      d.bind(a.index);
      d.bind(a.value);
      d.bind(a.chunk_index);
      d.bind(a.chunk_value);
      d.constants_from(abi::Argmax::Push{static_cast<std::uint32_t>(rows), width, chunks,
                                         static_cast<std::uint32_t>(op::Argmax::chunk)});
      d.loops = (of_chunks ? chunks : op::Argmax::chunk) / lanes + 1 + 8;
      KEDGE_CHECK(vulkan::spread(recorder.limits(), name,
                                 static_cast<std::uint64_t>(rows) * (of_chunks ? 1 : chunks), 1,
                                 d));
      KEDGE_CHECK(recorder.dispatch(d));
    }
    return {};
  }
};

}  // namespace kedge::inline KEDGE_ABI
