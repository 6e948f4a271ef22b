// place_columns: y[r][column + i] = x[r][i], the other columns of y staying as they are: rows side
// by side, as inputs of a matrix that reads several of them at once.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct PlaceColumns {
  static constexpr const char* name = "place_columns";

  struct Args {
    Tensor x, y;
    std::int32_t column = 0;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, width] f32");
    v.tensor("y", &Args::y, Role::inout, "[rows, column + width or more] f32");
    v.setting("column", &Args::column, "of y that column 0 of x goes to");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.x.rows(), a.column + a.x.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.x.rows(), width = a.x.width();
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, rows, width));
    KEDGE_CHECK(expect_shape(name, "y", a.y, Element::f32, rows, a.y.width()));
    if (a.column < 0 || a.column + width > a.y.width())
      return fail(Code::invalid_argument, name,
                  "column: %lld columns from %d on do not fit into %lld",
                  static_cast<long long>(width), a.column, static_cast<long long>(a.y.width()));
    return {};
  }

  static Cost cost(const Args& a) noexcept { return {2.0 * static_cast<double>(a.x.bytes()), 0}; }
};

}  // namespace kedge::inline KEDGE_ABI::op
