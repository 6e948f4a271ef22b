// rms_norm: y = x / sqrt(mean(x^2) + eps) * weight, row by row (Zhang and Sennrich 2019,
// arXiv 1910.07467), or part by part: `heads` equal parts of a row, each with its own mean and the
// same weight (the q and k norms of Qwen3). y may be q8_act: the product that follows wants int8
// activations, and rounding them while the row is in registers saves a pass and a barrier.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct RmsNorm {
  static constexpr const char* name = "rms_norm";

  struct Args {
    Tensor x, weight, y;
    float eps = 1e-5f;
    std::int32_t heads = 1;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, width] f32");
    v.tensor("weight", &Args::weight, Role::input, "[width / heads] f32");
    v.tensor("y", &Args::y, Role::output,
             "[rows, width] f32, or q8_act (int8 blocks of 32); an f32 y may be x");
    v.setting("eps", &Args::eps, "added to the mean of squares");
    v.setting("heads", &Args::heads, "equal parts of a row, each normalised on its own");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.x.rows(), a.x.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t width = a.x.width();
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, a.x.rows(), width));
    if (a.heads < 1 || width % a.heads != 0)
      return fail(Code::invalid_argument, name, "heads: %d do not divide the width %lld of x",
                  a.heads, static_cast<long long>(width));
    const std::int64_t part = width / a.heads;
    KEDGE_CHECK(expect_shape(name, "weight", a.weight, Element::f32, 1, part));
    const Element out = a.y.element == Element::q8_act ? Element::q8_act : Element::f32;
    KEDGE_CHECK(expect_shape(name, "y", a.y, out, a.x.rows(), width));
    if (out == Element::q8_act && part % 32 != 0)
      return fail(Code::unsupported, name, "y: q8_act needs parts divisible by 32, found %lld",
                  static_cast<long long>(part));
    return {};
  }

  static Cost cost(const Args& a) noexcept {
    const auto n = static_cast<double>(a.x.rows() * a.x.width());
    return {static_cast<double>(a.x.bytes() + a.weight.bytes() + a.y.bytes()), 4 * n};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
