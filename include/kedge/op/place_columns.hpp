// place_columns: copies x into the columns first .. first + width - 1 of y, whose other columns
// stay: how several tensors come to stand side by side in one row.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct PlaceColumns {
  static constexpr const char* name = "place_columns";

  struct Args {
    Tensor x, y;
    std::int32_t first = 0;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, width] f32");
    v.tensor("y", &Args::y, Role::inout, "[rows, at least first + width] f32");
    v.setting("first", &Args::first, "column of y that the first of x goes to");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.x.rows(), a.first + a.x.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, a.x.rows(), a.x.width()));
    KEDGE_CHECK(expect_shape(name, "y", a.y, Element::f32, a.x.rows(), a.y.width()));
    if (a.first < 0 || a.first + a.x.width() > a.y.width())
      return fail(Code::invalid_argument, name,
                  "first: columns %d..%lld do not lie within the %lld of y", a.first,
                  static_cast<long long>(a.first + a.x.width() - 1),
                  static_cast<long long>(a.y.width()));
    return {};
  }

  static Cost cost(const Args& a) noexcept { return {2.0 * static_cast<double>(a.x.bytes()), 0}; }
};

}  // namespace kedge::inline KEDGE_ABI::op
