// quantize_rows: rounds f32 activations to int8 blocks of 32 (kernel/ref/round_q8.hpp is the rule)
// for a product with weights in blocks. rms_norm and others can write q8_act themselves; this is
// for activations that somebody also wants in f32.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct QuantizeRows {
  static constexpr const char* name = "quantize_rows";

  struct Args {
    Tensor x, y;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, width] f32, width divisible by 32");
    v.tensor("y", &Args::y, Role::output, "[rows, width] q8_act");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::q8_act, a.x.rows(), a.x.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t width = a.x.width();
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, a.x.rows(), width));
    if (width % 32 != 0)
      return fail(Code::unsupported, name, "x: q8_act needs a width divisible by 32, found %lld",
                  static_cast<long long>(width));
    return expect_shape(name, "y", a.y, Element::q8_act, a.x.rows(), width);
  }

  static Cost cost(const Args& a) noexcept {
    return {static_cast<double>(a.x.bytes() + a.y.bytes()),
            3.0 * static_cast<double>(a.x.rows() * a.x.width())};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
