// sigmoid_mul: y = x * sigmoid(gate) with sigmoid(g) = 1 / (1 + e^-g), the output gate of attention
// (Qiu et al. 2025, arXiv 2505.06708). y may be q8_act: the product that follows wants int8
// activations.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct SigmoidMul {
  static constexpr const char* name = "sigmoid_mul";

  struct Args {
    Tensor x, gate, y;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, width] f32");
    v.tensor("gate", &Args::gate, Role::input, "[rows, width] f32");
    v.tensor("y", &Args::y, Role::output,
             "[rows, width] f32 (may be x or gate), or q8_act (int8 blocks of 32)");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.x.rows(), a.x.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.x.rows(), width = a.x.width();
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, rows, width));
    KEDGE_CHECK(expect_shape(name, "gate", a.gate, Element::f32, rows, width));
    const Element out = a.y.element == Element::q8_act ? Element::q8_act : Element::f32;
    KEDGE_CHECK(expect_shape(name, "y", a.y, out, rows, width));
    if (out == Element::q8_act && width % 32 != 0)
      return fail(Code::unsupported, name, "y: q8_act needs a width divisible by 32, found %lld",
                  static_cast<long long>(width));
    return {};
  }

  // exp counts as 12 operations, the rest as 3.
  static Cost cost(const Args& a) noexcept {
    return {static_cast<double>(a.x.bytes() + a.gate.bytes() + a.y.bytes()),
            15 * static_cast<double>(a.x.rows() * a.x.width())};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
