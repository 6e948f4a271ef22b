// conv_state: a causal convolution of each channel over its last W inputs, then SiLU, for rows that
// follow earlier ones: what came before the pass is in a ring of raw input columns.
//   y[r] = silu(bias + sum over taps t of weight[t] * column)    weight[W - 1] meets row r itself
// as one chain of fused multiply-adds from the oldest tap on, starting at the bias or 0. A column
// that is not real (before the text) takes no part. silu(a) = a / (1 + e^-a).
// The columns before row r are its ancestors in the pass (steps[].parent), then the window's, from
// runs[].column backwards. The rows' own columns are stored where steps[].column says, after all
// columns were read. Undo is an offset: the next run's `column` (op/recurrent_run.hpp).
#pragma once

#include "kedge/op/recurrent_run.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct ConvState {
  static constexpr const char* name = "conv_state";
  static constexpr std::int64_t min_taps = 2, max_taps = 8;

  struct Args {
    Tensor x, weight, bias, runs, steps, window, y;
    std::int32_t window_slots = 0;
  };

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input, "[rows, channels] f32");
    v.tensor("weight", &Args::weight, Role::input,
             "[W, channels] f32, W 2 to 8; the last row meets the newest column");
    v.tensor("bias", &Args::bias, Role::input, "[channels] f32, optional");
    v.tensor("runs", &Args::runs, Role::input, "[1 + runs, 12] i32, op/recurrent_run.hpp");
    v.tensor("steps", &Args::steps, Role::input, "[rows, 4] i32, op/recurrent_run.hpp");
    v.tensor("window", &Args::window, Role::state, "[slots, channels] f32, earlier inputs");
    v.tensor("y", &Args::y, Role::output, "[rows, channels] f32");
    v.setting("window_slots", &Args::window_slots, "columns of a sequence's ring, W - 1 or more");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.x.rows(), a.x.width());
    return {};
  }

  static Status check(const Args& a) noexcept {
    const std::int64_t rows = a.x.rows(), channels = a.x.width(), taps = a.weight.rows();
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, rows, channels));
    KEDGE_CHECK(expect_shape(name, "weight", a.weight, Element::f32, taps, channels));
    if (taps < min_taps || taps > max_taps)
      return fail(Code::unsupported, name, "weight: expected %lld to %lld taps, found %lld",
                  static_cast<long long>(min_taps), static_cast<long long>(max_taps),
                  static_cast<long long>(taps));
    if (!a.bias.empty()) KEDGE_CHECK(expect_shape(name, "bias", a.bias, Element::f32, 1, channels));
    KEDGE_CHECK(expect_recurrent_tables(name, a.runs, a.steps, rows));
    KEDGE_CHECK(expect_shape(name, "window", a.window, Element::f32, a.window.rows(), channels));
    if (a.window_slots < taps - 1)
      return fail(Code::invalid_argument, name,
                  "window_slots: expected at least the %lld columns before a row, found %d",
                  static_cast<long long>(taps) - 1, a.window_slots);
    if (a.window.rows() % a.window_slots != 0)
      return fail(Code::invalid_argument, name,
                  "window: expected a multiple of window_slots %d rows, found %lld", a.window_slots,
                  static_cast<long long>(a.window.rows()));
    return expect_shape(name, "y", a.y, Element::f32, rows, channels);
  }

  // Whether the numbers in the tables are within these arguments.
  static Status check_tables(const Args& a, std::int64_t rows) noexcept {
    RecurrentLimits limits;
    limits.rows = rows;
    limits.window = a.window.rows();
    limits.window_slots = a.window_slots;
    return check_recurrent_tables(name, a.runs, a.steps, limits);
  }

  // Of one run: its rows in and out, and the columns before it.
  static Cost cost(const Args& a) noexcept {
    const auto values = static_cast<double>(a.x.rows() * a.x.width());
    const auto taps = static_cast<double>(a.weight.rows());
    return {static_cast<double>(a.x.bytes() + a.weight.bytes() + a.bias.bytes() + a.y.bytes()) +
                4 * (taps - 1) * static_cast<double>(a.x.width()),
            (2 * taps + 4) * values};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
