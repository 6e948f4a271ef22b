// gated_rms_norm: y = x / sqrt(mean(x^2) + eps) * weight * silu(z), part by part: a row is equal
// parts as wide as the weight (the heads of a gated delta rule), each with its own mean. The norm
// comes before the gate (Qwen3-Next; Mamba 2 has it the other way round). With `sigmoid` the gate
// is sigmoid(z) (Kimi Delta Attention). y may be q8_act: the product that follows wants int8
// activations.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct GatedRmsNorm {
  static constexpr const char* name = "gated_rms_norm";

  struct Args {
    Tensor x, z, weight, y;
    float eps = 1e-6f;
    bool sigmoid = false;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, heads * dim] f32");
    v.tensor("z", &Args::z, Role::input, "[rows, heads * dim] f32");
    v.tensor("weight", &Args::weight, Role::input, "[dim] f32");
    v.tensor("y", &Args::y, Role::output,
             "[rows, heads * dim] f32 (may be x or z), or q8_act (int8 blocks of 32)");
    v.setting("eps", &Args::eps, "added to the mean of squares");
    v.setting("sigmoid", &Args::sigmoid, "the gate is sigmoid(z) instead of z sigmoid(z)");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.x.rows(), a.x.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.x.rows(), width = a.x.width(), dim = a.weight.width();
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, rows, width));
    KEDGE_CHECK(expect_shape(name, "z", a.z, Element::f32, rows, width));
    KEDGE_CHECK(expect_shape(name, "weight", a.weight, Element::f32, 1, dim));
    if (width % dim != 0)
      return fail(Code::invalid_argument, name,
                  "weight: its %lld values do not divide the width %lld of x",
                  static_cast<long long>(dim), static_cast<long long>(width));
    const Element out = a.y.element == Element::q8_act ? Element::q8_act : Element::f32;
    KEDGE_CHECK(expect_shape(name, "y", a.y, out, rows, width));
    if (out == Element::q8_act && dim % 32 != 0)
      return fail(Code::unsupported, name, "y: q8_act needs parts divisible by 32, found %lld",
                  static_cast<long long>(dim));
    return {};
  }

  // exp counts as 12 operations, the rest as 8.
  static Cost cost(const Args& a) noexcept {
    return {static_cast<double>(a.x.bytes() + a.z.bytes() + a.y.bytes()),
            20 * static_cast<double>(a.x.rows() * a.x.width())};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
