// row_lookup: y[r] = row token[r] of the weight, decoded to f32: an embedding. Tokens are data, so
// check() cannot see them: the caller makes sure that each is in 0..V-1. A kernel that meets
// another one reads nothing and fills the row with NaN.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct RowLookup {
  static constexpr const char* name = "row_lookup";

  struct Args {
    Tensor token, weight, y;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("token", &Args::token, Role::input, "[rows] or [rows, 1] i32, each in 0..V-1");
    v.tensor("weight", &Args::weight, Role::input, "[V, K], row_major or panel16");
    v.tensor("y", &Args::y, Role::output, "[rows, K] f32");
  }

  static std::int64_t rows(const Args& a) noexcept { return a.token.rows() * a.token.width(); }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, rows(a), a.weight.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    if (a.weight.empty()) return fail(Code::invalid_argument, name, "argument weight is missing");
    const ElementTraits format = traits(a.weight.element);
    if (!format.weight)
      return fail(Code::unsupported, name, "weight: %s is not a format of weights", format.name);
    if (a.weight.width() % format.block != 0)
      return fail(Code::invalid_argument, name,
                  "weight: %s needs a width divisible by %u, found %lld", format.name, format.block,
                  static_cast<long long>(a.weight.width()));
    const std::int64_t n = rows(a);
    KEDGE_CHECK(
        expect_shape(name, "token", a.token, Element::i32, a.token.rows(), a.token.width()));
    return expect_shape(name, "y", a.y, Element::f32, n, a.weight.width());
  }

  static Cost cost(const Args& a) noexcept {
    const auto count = static_cast<double>(rows(a));
    const auto read = static_cast<double>(row_bytes(a.weight.element, a.weight.width()));
    return {count * read + static_cast<double>(a.y.bytes()), static_cast<double>(a.y.bytes() / 4)};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
