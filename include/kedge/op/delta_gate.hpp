// delta_gate: the two gates of a gated delta rule from their raw projections (Yang et al. 2024,
// arXiv 2412.06464): how much of the state stays, as the logarithm of a factor, and how much of
// what a token brings is written.
//   decay = a_scale * softplus(a + dt_bias)      beta = sigmoid(b)
// softplus(x) = log(1 + e^x). With lower_bound < 0 the decay is bounded instead ("safe gate"):
//   decay = lower_bound * sigmoid(-a_scale * (a + dt_bias))
// a_scale is -e^(A_log) of a checkpoint, as GGUF's ssm_a stores it. A decay is per head, or per key
// channel of a head (Kimi Delta Attention, arXiv 2510.26692), told by the width of a: head_dim
// channels that lie side by side share their head's a_scale.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct DeltaGate {
  static constexpr const char* name = "delta_gate";

  struct Args {
    Tensor a, b, a_scale, dt_bias, decay, beta;
    float lower_bound = 0;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("a", &Args::a, Role::input, "[rows, heads] f32, or [rows, heads * channels]");
    v.tensor("b", &Args::b, Role::input, "[rows, heads] f32");
    v.tensor("a_scale", &Args::a_scale, Role::input, "[heads] f32, -e^(A_log)");
    v.tensor("dt_bias", &Args::dt_bias, Role::input, "f32, as wide as a");
    v.tensor("decay", &Args::decay, Role::output, "f32, shape of a: log of the decay, <= 0");
    v.tensor("beta", &Args::beta, Role::output, "[rows, heads] f32, 0..1; may be b");
    v.setting("lower_bound", &Args::lower_bound,
              "below 0: the least decay of the bounded form; 0: the softplus form");
  }

  static Status infer(Args& a) noexcept {
    if (a.decay.empty()) a.decay = tensor(nullptr, Element::f32, a.a.rows(), a.a.width());
    if (a.beta.empty()) a.beta = tensor(nullptr, Element::f32, a.b.rows(), a.b.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.a.rows(), width = a.a.width(), heads = a.b.width();
    KEDGE_CHECK(expect_shape(name, "a", a.a, Element::f32, rows, width));
    KEDGE_CHECK(expect_shape(name, "b", a.b, Element::f32, rows, heads));
    if (width % heads != 0)
      return fail(Code::invalid_argument, name, "a: %lld values are no multiple of %lld heads",
                  static_cast<long long>(width), static_cast<long long>(heads));
    KEDGE_CHECK(expect_shape(name, "a_scale", a.a_scale, Element::f32, 1, heads));
    KEDGE_CHECK(expect_shape(name, "dt_bias", a.dt_bias, Element::f32, 1, width));
    if (!(a.lower_bound <= 0 && a.lower_bound >= -80))
      return fail(Code::invalid_argument, name, "lower_bound: expected -80..0, found %g",
                  static_cast<double>(a.lower_bound));
    KEDGE_CHECK(expect_shape(name, "decay", a.decay, Element::f32, rows, width));
    return expect_shape(name, "beta", a.beta, Element::f32, rows, heads);
  }

  // exp counts as 12 operations, log1p as 12.
  static Cost cost(const Args& a) noexcept {
    return {static_cast<double>(a.a.bytes() + a.b.bytes() + a.decay.bytes() + a.beta.bytes()),
            static_cast<double>(28 * a.a.rows() * a.a.width() + 15 * a.b.rows() * a.b.width())};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
