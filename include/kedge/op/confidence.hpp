// confidence: the probability that a draft model gives to a guess, y = sigmoid(weight . [h; e] +
// bias) (Cheng et al. 2026, arXiv 2607.05147, eq. 7): h is the slot's hidden state, e the row of
// the Markov head's embedding of the token before; heads without the latter have no e. The product
// is summed in 16 lanes (h from its first value on, then e), folded by the fixed tree. A NaN stays
// one.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct Confidence {
  static constexpr const char* name = "confidence";

  struct Args {
    Tensor h, e, weight, bias, y;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("h", &Args::h, Role::input, "[rows, width] f32");
    v.tensor("e", &Args::e, Role::input, "[rows, rank] f32, optional");
    v.tensor("weight", &Args::weight, Role::input, "[width + rank] f32");
    v.tensor("bias", &Args::bias, Role::input, "[1] f32, optional");
    v.tensor("y", &Args::y, Role::output, "[rows, 1] f32");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.h.rows(), 1);
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.h.rows(), width = a.h.width();
    KEDGE_CHECK(expect_shape(name, "h", a.h, Element::f32, rows, width));
    if (!a.e.empty()) KEDGE_CHECK(expect_shape(name, "e", a.e, Element::f32, rows, a.e.width()));
    KEDGE_CHECK(expect_shape(name, "weight", a.weight, Element::f32, 1, width + a.e.width()));
    if (!a.bias.empty()) KEDGE_CHECK(expect_shape(name, "bias", a.bias, Element::f32, 1, 1));
    return expect_shape(name, "y", a.y, Element::f32, rows, 1);
  }

  static Cost cost(const Args& a) noexcept {
    return {static_cast<double>(a.h.bytes() + a.e.bytes() + a.weight.bytes() + a.y.bytes()),
            2.0 * static_cast<double>(a.h.rows() * a.weight.width())};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
