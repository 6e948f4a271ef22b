// markov_bias: what the Markov head of a draft model (Cheng et al. 2026, arXiv 2607.05147) makes of
// the token before: z, whose product with the matrix [vocabulary, rank] is added to a slot's
// logits. e is the token's row of the head's embedding.
//   vanilla  z = e
//   gated    z = sigmoid(projection) e             projection = matrix [rank, width + rank] of [h;
//   e] rnn      [g; c; o] = projection                projection = matrix [3 rank, 2 rank + width]
//   of
//            s = sigmoid(g) s + (1 - sigmoid(g)) tanh(c)                                  [s; e; h]
//            z = tanh(o)                           s = 0 where a block begins
// with tanh(x) = 1 - 2 / (1 + e^2x).
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct MarkovBias {
  static constexpr const char* name = "markov_bias";
  enum Head : std::int32_t { vanilla, gated, rnn };

  struct Args {
    Tensor e, projection, state, z;
    std::int32_t head = vanilla;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("e", &Args::e, Role::input, "[rows, rank] f32");
    v.tensor("projection", &Args::projection, Role::input,
             "[rows, rank] f32 when gated, [rows, 3 rank] f32 of an rnn; else missing");
    v.tensor("state", &Args::state, Role::inout, "[rows, rank] f32 of an rnn; else missing");
    v.tensor("z", &Args::z, Role::output, "[rows, rank] f32, or q8_act (int8 blocks of 32)");
    v.setting("head", &Args::head, "0: vanilla, 1: gated, 2: rnn");
  }

  static Status infer(Args& a) noexcept {
    if (a.z.empty()) a.z = tensor(nullptr, Element::f32, a.e.rows(), a.e.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.e.rows(), rank = a.e.width();
    KEDGE_CHECK(expect_shape(name, "e", a.e, Element::f32, rows, rank));
    if (a.head < vanilla || a.head > rnn)
      return fail(Code::invalid_argument, name, "head: expected 0, 1 or 2, found %d", a.head);
    if (a.head != vanilla)
      KEDGE_CHECK(expect_shape(name, "projection", a.projection, Element::f32, rows,
                               a.head == rnn ? 3 * rank : rank));
    if (a.head == rnn) KEDGE_CHECK(expect_shape(name, "state", a.state, Element::f32, rows, rank));
    const Element out = a.z.element == Element::q8_act ? Element::q8_act : Element::f32;
    KEDGE_CHECK(expect_shape(name, "z", a.z, out, rows, rank));
    if (out == Element::q8_act && rank % 32 != 0)
      return fail(Code::unsupported, name, "z: q8_act needs a rank divisible by 32, found %lld",
                  static_cast<long long>(rank));
    return {};
  }

  // exp counts as 12 operations.
  static Cost cost(const Args& a) noexcept {
    const auto values = static_cast<double>(a.e.rows() * a.e.width());
    return {
        static_cast<double>(a.e.bytes() + a.projection.bytes() + 2 * a.state.bytes() + a.z.bytes()),
        values * (a.head == vanilla ? 1
                  : a.head == gated ? 15
                                    : 50)};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
