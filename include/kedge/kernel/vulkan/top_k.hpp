// Host side of top_k on Vulkan: one workgroup per chunk of a row, then one per row.
#pragma once

#include "kedge/abi/top_k.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/top_k.hpp"

KEDGE_DECLARE_SHADER(top_k)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::TopK> {
  static_assert(op::TopK::max_k == KEDGE_TOP_K_MOST);
  // Free to choose: the result is the same for all.
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::TopK::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::TopK::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "scratch", a.scratch, Element::i32));
    const auto chunks = static_cast<std::uint32_t>(op::TopK::chunks(a));
    for (const std::uint32_t of_chunks : {0u, 1u}) {
      vulkan::Dispatch d(vulkan::shader::top_k, lanes);
      d.specialize(abi::TopK::of_chunks, of_chunks);
      d.bind(a.x);
      d.bind(a.index);
      d.bind(a.value);
      d.bind(a.scratch);
      d.constants_from(abi::TopK::Push{
          static_cast<std::uint32_t>(rows), static_cast<std::uint32_t>(a.x.width()), chunks,
          static_cast<std::uint32_t>(op::TopK::chunk), static_cast<std::uint32_t>(a.k)});
      const std::uint64_t count =
          of_chunks ? std::uint64_t{chunks} * static_cast<std::uint32_t>(a.k) : op::TopK::chunk;
      // Eight digits: zeroing, counting, the scan of 256 bins; then collecting and sorting.
      d.loops = 8 * (4 + count / lanes + 1 + 256) + count / lanes + 1 + 36 * 3 + 16;
      KEDGE_CHECK(vulkan::spread(recorder.limits(), name,
                                 static_cast<std::uint64_t>(rows) * (of_chunks ? 1 : chunks), 1,
                                 d));
      KEDGE_CHECK(recorder.dispatch(d));
    }
    return {};
  }
};

}  // namespace kedge::inline KEDGE_ABI
