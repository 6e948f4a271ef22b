// add: y = a + b, value by value: the residual connections of a transformer. y may be a or b
// itself.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct Add {
  static constexpr const char* name = "add";

  struct Args {
    Tensor a, b, y;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("a", &Args::a, Role::input, "[rows, width] f32");
    v.tensor("b", &Args::b, Role::input, "[rows, width] f32");
    v.tensor("y", &Args::y, Role::output, "[rows, width] f32; may be a or b");
  }

  static Status infer(Args& args) noexcept {
    if (args.y.empty()) args.y = tensor(nullptr, Element::f32, args.a.rows(), args.a.width());
    return {};
  }

  static Status check(const Args& args) noexcept {
    const std::int64_t rows = args.a.rows(), width = args.a.width();
    KEDGE_CHECK(expect_shape(name, "a", args.a, Element::f32, rows, width));
    KEDGE_CHECK(expect_shape(name, "b", args.b, Element::f32, rows, width));
    return expect_shape(name, "y", args.y, Element::f32, rows, width);
  }

  static Cost cost(const Args& args) noexcept {
    return {3.0 * static_cast<double>(args.a.bytes()),
            static_cast<double>(args.a.rows() * args.a.width())};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
