// silu_mul: y = silu(gate) * up with silu(x) = x / (1 + e^-x), the gated activation of Llama's
// feed-forward layer (SwiGLU; Shazeer 2020, arXiv 2002.05202). y may be q8_act: the product that
// follows wants int8 activations.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct SiluMul {
  static constexpr const char* name = "silu_mul";

  struct Args {
    Tensor gate, up, y;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("gate", &Args::gate, Role::input, "[rows, width] f32");
    v.tensor("up", &Args::up, Role::input, "[rows, width] f32");
    v.tensor("y", &Args::y, Role::output,
             "[rows, width] f32 (may be gate or up), or q8_act (int8 blocks of 32)");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.gate.rows(), a.gate.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.gate.rows(), width = a.gate.width();
    KEDGE_CHECK(expect_shape(name, "gate", a.gate, Element::f32, rows, width));
    KEDGE_CHECK(expect_shape(name, "up", a.up, Element::f32, rows, width));
    const Element out = a.y.element == Element::q8_act ? Element::q8_act : Element::f32;
    KEDGE_CHECK(expect_shape(name, "y", a.y, out, rows, width));
    if (out == Element::q8_act && width % 32 != 0)
      return fail(Code::unsupported, name, "y: q8_act needs a width divisible by 32, found %lld",
                  static_cast<long long>(width));
    return {};
  }

  // exp counts as 12 operations, the rest as 4.
  static Cost cost(const Args& a) noexcept {
    return {static_cast<double>(a.gate.bytes() + a.up.bytes() + a.y.bytes()),
            16 * static_cast<double>(a.gate.rows() * a.gate.width())};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
