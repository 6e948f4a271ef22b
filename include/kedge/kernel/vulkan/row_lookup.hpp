// Host side of row_lookup on Vulkan: one invocation per step of a row's values (common/block.glsl).
#pragma once

#include "kedge/abi/row_lookup.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/kernel/vulkan/weight.hpp"
#include "kedge/op/row_lookup.hpp"

namespace kedge::inline KEDGE_ABI {

namespace vulkan::shader {
#define KEDGE_FORMAT(stem, Type) extern const Shader row_lookup_##stem;
KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
}  // namespace vulkan::shader

template <>
struct Kernel<Vulkan, op::RowLookup> {
  static constexpr std::uint32_t lanes = 64;

  static const vulkan::Shader& shader(Element weight) noexcept {
#define KEDGE_FORMAT(stem, Type) &vulkan::shader::row_lookup_##stem,
    static constexpr const vulkan::Shader* table[] = {KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)};
#undef KEDGE_FORMAT
    return *table[static_cast<unsigned>(weight)];
  }

  static Status record(const op::RowLookup::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::RowLookup::name;
    if (rows < 1 || rows > op::RowLookup::rows(a))
      return fail(Code::invalid_argument, name, "%lld rows asked for, the arguments have %lld",
                  static_cast<long long>(rows), static_cast<long long>(op::RowLookup::rows(a)));
    KEDGE_CHECK(vulkan::expect_element(name, "token", a.token, Element::i32));
    KEDGE_CHECK(vulkan::expect_element(name, "weight", a.weight, a.weight.element));
    KEDGE_CHECK(vulkan::expect_element(name, "y", a.y, Element::f32));

    const vulkan::Limits& limits = recorder.limits();
    KEDGE_TRY(const std::uint64_t block, vulkan::block_rows(limits, name, a.weight));
    const auto vocabulary = static_cast<std::uint64_t>(a.weight.rows());
    const std::uint64_t row = row_bytes(a.weight.element, a.weight.width());
    // shaders/common/format: floats in steps of 8 values, blocks of 32.
    const std::uint64_t step = is_quantized(a.weight.element) ? 32 : 8;
    const auto width = static_cast<std::uint64_t>(a.weight.width());
    const std::uint64_t invocations =
        static_cast<std::uint64_t>(rows) * ((width + step - 1) / step);
    for (std::uint64_t first = 0; first < vocabulary; first += block) {
      const bool last = vocabulary - first <= block;
      const std::uint64_t count = last ? vocabulary - first : block;
      vulkan::Dispatch d(shader(a.weight.element), lanes);
      d.bind(a.token);
      d.bind(a.weight, first * row, count * row);
      d.bind(a.y);
      d.constants_from(
          abi::RowLookup::Push{static_cast<std::uint32_t>(rows), static_cast<std::uint32_t>(width),
                               static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(count),
                               last ? static_cast<std::uint32_t>(vocabulary) : 0});
      d.loops = 64;  // over the words and values of a step
      KEDGE_CHECK(vulkan::spread(limits, name, (invocations + lanes - 1) / lanes, 1, d));
      KEDGE_CHECK(recorder.dispatch(d));
    }
    return {};
  }
};

}  // namespace kedge::inline KEDGE_ABI
