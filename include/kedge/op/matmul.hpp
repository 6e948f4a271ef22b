// matmul: y[r][n] = sum_k x[r][k] weight[n][k] (+ residual[r][n], or + residual[n]: a bias).
// Weights in blocks take activations rounded to int8 (q8_act, written by rms_norm or
// quantize_rows), weights in floats take f32. The CPU wants its weights in panels
// (kernel/cpu/panel.hpp).
//
// What every kernel computes, so that bytes are equal for any number of rows, threads and any ISA:
//   floats  one chain per output, from 0, k ascending: acc = fma(float(w[k]), x[k], acc)
//   blocks  per 32 values, ascending: s = the integer dot product, exact; with the weight's offset
//           (q4_0: -8, q5_0: -16, q6_k: -32) included and q6_k's two sub-scales multiplied in;
//           acc = fma(float(s), d_weight * d_x, acc); with a minimum (q4_1, q5_1, q4_k, q5_k) then
//           acc = fma(m, d_x * sum(q_x), acc). For q4_k and q5_k d_weight = d * scale and
//           m = -dmin * minimum of their sub-block; both products are exact
// and at last acc + residual.
#pragma once

#include "kedge/op/op.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct Matmul {
  static constexpr const char* name = "matmul";

  struct Args {
    Tensor x, weight, residual, y;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, K] f32, or q8_act for a weight in blocks");
    v.tensor("weight", &Args::weight, Role::input, "[N, K]");
    v.tensor("residual", &Args::residual, Role::input,
             "[rows, N] f32, added; may be y; or [N], added to every row; optional");
    v.tensor("y", &Args::y, Role::output, "[rows, N] f32");
  }

  static constexpr Element activation(Element weight) noexcept {
    return is_quantized(weight) ? Element::q8_act : Element::f32;
  }

  // One value per output for all rows. Tensors of rows have two extents.
  static KEDGE_INLINE constexpr bool is_bias(const Tensor& residual) noexcept {
    return residual.rank == 1;
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.x.rows(), a.weight.rows());
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
    const std::int64_t rows = a.x.rows(), n = a.weight.rows();
    // Activations that were never rounded are right too; a backend may have no kernel for them.
    const Element x = a.x.element == Element::f32 ? Element::f32 : activation(a.weight.element);
    KEDGE_CHECK(expect_shape(name, "x", a.x, x, rows, a.weight.width()));
    KEDGE_CHECK(expect_shape(name, "y", a.y, Element::f32, rows, n));
    if (!a.residual.empty())
      KEDGE_CHECK(expect_shape(name, "residual", a.residual, Element::f32,
                               is_bias(a.residual) ? 1 : rows, n));
    return {};
  }

  static Cost cost(const Args& a) noexcept {
    const double outputs = static_cast<double>(a.x.rows()) * static_cast<double>(a.weight.rows());
    const auto moved = a.x.bytes() + a.weight.bytes() + a.residual.bytes() + a.y.bytes();
    return {static_cast<double>(moved), 2 * outputs * static_cast<double>(a.weight.width())};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
