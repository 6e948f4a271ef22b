// rope: rotary position embedding (Su et al. 2021, arXiv 2104.09864) of the heads of a row. Pair
// (x0, x1) of each head turns by the angle of its frequency at the row's position:
//   y0 = fma(x0, cos, -(x1 * sin))    y1 = fma(x1, cos, x0 * sin)
// A pair is (2i, 2i+1) when `interleaved` (GGUF files of arch llama are permuted for it), else
// (i, i + rotary_dims / 2) (GPT-NeoX, transformers). Dimensions from rotary_dims on are copied.
// y may be x. The table's layout is in model/rope_table.hpp.
//
// A token of an image has three positions: time, height and width (interleaved M-RoPE of Qwen3-VL
// and Qwen3.5). Frequency i then turns by the height where i % 3 == 1 and i < 3 * section_height,
// by the width where i % 3 == 2 and i < 3 * section_width, and else by the time. Text has three
// equal ones, so it needs one position and no sections.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct Rope {
  static constexpr const char* name = "rope";

  struct Args {
    Tensor x, table, position, y;
    std::int32_t head_dim = 0;
    std::int32_t rotary_dims = 0;  // 0: head_dim
    bool interleaved = false;
    std::int32_t section_height = 0, section_width = 0;
  };
  // Kernels gather a row's angles on the stack where there are sections.
  static constexpr std::int32_t max_sectioned_dims = 1024;

  static KEDGE_INLINE constexpr std::int32_t rotary_dims(const Args& a) noexcept {
    return a.rotary_dims == 0 ? a.head_dim : a.rotary_dims;
  }
  static KEDGE_INLINE constexpr bool sectioned(const Args& a) noexcept {
    return a.section_height != 0 || a.section_width != 0;
  }
  // Which of a row's positions turns frequency i.
  static KEDGE_INLINE constexpr std::int32_t stream(const Args& a, std::int32_t i) noexcept {
    return i % 3 == 1 && i < 3 * a.section_height  ? 1
           : i % 3 == 2 && i < 3 * a.section_width ? 2
                                                   : 0;
  }

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, heads * head_dim] f32");
    v.tensor("table", &Args::table, Role::input,
             "[positions, rotary_dims] f32, cosines then sines");
    v.tensor("position", &Args::position, Role::input,
             "[rows] i32, below the table's positions; [rows, 3] with sections");
    v.tensor("y", &Args::y, Role::output, "[rows, heads * head_dim] f32, may be x");
    v.setting("head_dim", &Args::head_dim, "values per head");
    v.setting("rotary_dims", &Args::rotary_dims, "leading values of a head that turn; 0: all");
    v.setting("interleaved", &Args::interleaved, "pairs (2i, 2i+1) instead of (i, i + half)");
    v.setting("section_height", &Args::section_height, "frequencies that the height turns");
    v.setting("section_width", &Args::section_width, "frequencies that the width turns");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.x.rows(), a.x.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.x.rows(), width = a.x.width(), rotary = rotary_dims(a);
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, rows, width));
    if (a.head_dim < 1 || width % a.head_dim != 0)
      return fail(Code::invalid_argument, name, "head_dim %d does not divide the width %lld of x",
                  a.head_dim, static_cast<long long>(width));
    if (rotary < 2 || rotary % 2 != 0 || rotary > a.head_dim)
      return fail(Code::invalid_argument, name,
                  "rotary_dims: expected an even number from 2 to head_dim %d, found %lld",
                  a.head_dim, static_cast<long long>(rotary));
    KEDGE_CHECK(expect_shape(name, "table", a.table, Element::f32, a.table.rows(), rotary));
    KEDGE_CHECK(check_sections(a));
    const bool three = sectioned(a);
    KEDGE_CHECK(expect_shape(name, "position", a.position, Element::i32, three ? rows : 1,
                             three ? 3 : rows));
    return expect_shape(name, "y", a.y, Element::f32, rows, width);
  }

  static Status check_sections(const Args& a) noexcept {
    const std::int32_t half = rotary_dims(a) / 2;
    for (const std::int32_t section : {a.section_height, a.section_width})
      if (section < 0 || section > half)
        return fail(Code::invalid_argument, name, "sections: expected 0..%d, found %d and %d", half,
                    a.section_height, a.section_width);
    if (sectioned(a) && 2 * half > max_sectioned_dims)
      return fail(Code::unsupported, name,
                  "rotary_dims: expected at most %d with sections, found %d", max_sectioned_dims,
                  2 * half);
    return {};
  }

  static Cost cost(const Args& a) noexcept {
    const auto turned = static_cast<double>(a.x.rows() * (a.x.width() / a.head_dim)) *
                        static_cast<double>(rotary_dims(a));
    return {static_cast<double>(a.x.bytes() + a.y.bytes()), 3 * turned};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
