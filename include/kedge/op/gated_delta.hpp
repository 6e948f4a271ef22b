// gated_delta: the gated delta rule (Yang et al. 2024, arXiv 2412.06464), recurrent form for every
// token; with one decay per key channel it is KDA (Kimi Linear, arXiv 2510.26692). Per row and
// value head, S in R^{key_dim x value_dim} being the state that comes in:
//   q = (q r(q)) * key_dim^-1/2   k = k r(k)    r(x) = 1 / sqrt(sum x^2 + l2_eps),
//                                               or 1 / max(sqrt(sum x^2), l2_eps) with l2_max
//   e     = exp(decay)
//   delta = beta * (v - e (S^T k))              KDA: S^T (e k)
//   S     = fma(k, delta, e S)
//   y     = S^T q
// The sums over key_dim are two chains of fused multiply-adds, of even and of odd channels, added
// at the end. A *record* of a row is {k, e, delta}: S = fma(k, delta, e S) again gives the bytes of
// the state, so that accepted rows need not be kept as planes (op/recurrent_run.hpp).
//
// A head's state lies in blocks of 32 columns (values), each of which is work of its own: block b
// holds rows (keys) i of w = min(32, value_dim - 32 b) columns, see DeltaLayout.
#pragma once

#include "kedge/op/recurrent_run.hpp"

namespace kedge::inline KEDGE_ABI::op {

// Where S[i][j] of a head is in its key_dim * value_dim values.
struct DeltaLayout {
  std::int64_t key_dim, value_dim;

  static constexpr std::int64_t block = 32;
  KEDGE_INLINE constexpr std::int64_t width(std::int64_t b) const noexcept {
    return value_dim - block * b < block ? value_dim - block * b : block;
  }
  KEDGE_INLINE constexpr std::int64_t index(std::int64_t i, std::int64_t j) const noexcept {
    const std::int64_t b = j / block;
    return b * block * key_dim + i * width(b) + (j - b * block);
  }
};

struct GatedDelta {
  static constexpr const char* name = "gated_delta";
  static constexpr std::int32_t max_dim = 256;

  struct Args {
    Tensor x, decay, beta, runs, steps, state, records, scratch, y;
    std::int32_t key_heads = 0;
    std::int32_t value_heads = 0;
    std::int32_t key_dim = 0;
    std::int32_t value_dim = 0;
    std::int32_t record_slots = 0;
    float l2_eps = 1e-6f;
    bool l2_max = false;
    bool grouped = false;
  };

  KEDGE_INLINE static constexpr bool channel_decay(const Args& a) noexcept {
    return a.decay.width() != a.value_heads;
  }
  KEDGE_INLINE static constexpr std::int64_t key_head(const Args& a, std::int64_t h) noexcept {
    return a.grouped ? h / (a.value_heads / a.key_heads) : h % a.key_heads;
  }
  // Values of the parts of a row or record.
  KEDGE_INLINE static constexpr std::int64_t keys(const Args& a) noexcept {
    return std::int64_t{a.key_heads} * a.key_dim;
  }
  KEDGE_INLINE static constexpr std::int64_t values(const Args& a) noexcept {
    return std::int64_t{a.value_heads} * a.value_dim;
  }
  KEDGE_INLINE static constexpr std::int64_t head_state(const Args& a) noexcept {
    return std::int64_t{a.key_dim} * a.value_dim;
  }
  // A record: k [keys], e [width of decay], delta [values].
  KEDGE_INLINE static constexpr std::int64_t record_width(const Args& a) noexcept {
    return keys(a) + a.decay.width() + values(a);
  }
  // Scratch of a row: q and k as they are used, e, and for KDA e k per value head.
  KEDGE_INLINE static constexpr std::int64_t scratch_width(const Args& a) noexcept {
    return 2 * keys(a) + a.decay.width() * (channel_decay(a) ? 2 : 1);
  }

  template <class Visitor>
  static constexpr void fields(Visitor&& v) {
    v.tensor("x", &Args::x, Role::input,
             "[rows, 2 * key_heads * key_dim + value_heads * value_dim] f32: q, k, v");
    v.tensor("decay", &Args::decay, Role::input,
             "[rows, value_heads] f32, log decay <= 0; [rows, value_heads * key_dim]: per channel");
    v.tensor("beta", &Args::beta, Role::input, "[rows, value_heads] f32, after the sigmoid");
    v.tensor("runs", &Args::runs, Role::input, "[1 + runs, 12] i32, op/recurrent_run.hpp");
    v.tensor("steps", &Args::steps, Role::input, "[rows, 4] i32, op/recurrent_run.hpp");
    v.tensor("state", &Args::state, Role::state,
             "[planes, value_heads * key_dim * value_dim] f32, a head in blocks of 32 columns");
    v.tensor("records", &Args::records, Role::state,
             "[slots, keys + width of decay + values] f32: k, e, delta; optional");
    v.tensor("scratch", &Args::scratch, Role::scratch,
             "[rows, 2 * keys + width of decay] f32, twice the width of decay if per channel");
    v.tensor("y", &Args::y, Role::output, "[rows, value_heads * value_dim] f32");
    v.setting("key_heads", &Args::key_heads, "heads of q and k");
    v.setting("value_heads", &Args::value_heads, "heads of v, a multiple of key_heads");
    v.setting("key_dim", &Args::key_dim, "values of a key, 1 to 256");
    v.setting("value_dim", &Args::value_dim, "values of a value head, 1 to 256");
    v.setting("record_slots", &Args::record_slots, "records of a sequence's ring");
    v.setting("l2_eps", &Args::l2_eps, "in the norm of q and k");
    v.setting("l2_max", &Args::l2_max, "norm is max(norm, l2_eps) instead of adding l2_eps");
    v.setting("grouped", &Args::grouped, "value head h has key head h / r, not h % key_heads");
  }

  static Status infer(Args& a) noexcept {
    if (a.y.empty()) a.y = tensor(nullptr, Element::f32, a.x.rows(), values(a));
    if (a.scratch.empty()) a.scratch = tensor(nullptr, Element::f32, a.x.rows(), scratch_width(a));
    return {};
  }

  // Of the settings alone.
  static Status check_heads(const Args& a) noexcept {
    if (a.key_heads < 1 || a.value_heads < 1 || a.value_heads % a.key_heads != 0)
      return fail(Code::invalid_argument, name,
                  "value_heads: expected a multiple of key_heads %d, found %d", a.key_heads,
                  a.value_heads);
    if (a.key_dim < 1 || a.key_dim > max_dim || a.value_dim < 1 || a.value_dim > max_dim)
      return fail(Code::unsupported, name, "key_dim and value_dim: expected 1..%d, found %d and %d",
                  max_dim, a.key_dim, a.value_dim);
    return {};
  }

  static Status check(const Args& a) noexcept {
    KEDGE_CHECK(check_heads(a));
    if (!(a.l2_eps >= 0))
      return fail(Code::invalid_argument, name, "l2_eps: expected at least 0, found %g",
                  static_cast<double>(a.l2_eps));
    const std::int64_t rows = a.x.rows(), per_channel = std::int64_t{a.value_heads} * a.key_dim;
    KEDGE_CHECK(expect_shape(name, "x", a.x, Element::f32, rows, 2 * keys(a) + values(a)));
    if (a.decay.width() != a.value_heads && a.decay.width() != per_channel)
      return fail(Code::invalid_argument, name,
                  "decay: expected %lld x %d, or per channel x %lld, found %lld x %lld",
                  static_cast<long long>(rows), a.value_heads, static_cast<long long>(per_channel),
                  static_cast<long long>(a.decay.rows()), static_cast<long long>(a.decay.width()));
    KEDGE_CHECK(expect_shape(name, "decay", a.decay, Element::f32, rows, a.decay.width()));
    KEDGE_CHECK(expect_shape(name, "beta", a.beta, Element::f32, rows, a.value_heads));
    KEDGE_CHECK(expect_recurrent_tables(name, a.runs, a.steps, rows));
    KEDGE_CHECK(expect_shape(name, "state", a.state, Element::f32, a.state.rows(),
                             a.value_heads * head_state(a)));
    if (!a.records.empty()) {
      KEDGE_CHECK(expect_shape(name, "records", a.records, Element::f32, a.records.rows(),
                               record_width(a)));
      if (a.record_slots < 1 || a.records.rows() % a.record_slots != 0)
        return fail(Code::invalid_argument, name,
                    "records: expected a multiple of record_slots %d rows, found %lld",
                    a.record_slots, static_cast<long long>(a.records.rows()));
    }
    KEDGE_CHECK(expect_shape(name, "scratch", a.scratch, Element::f32, rows, scratch_width(a)));
    return expect_shape(name, "y", a.y, Element::f32, rows, values(a));
  }

  // Whether the numbers in the tables are within these arguments.
  static Status check_tables(const Args& a, std::int64_t rows) noexcept {
    RecurrentLimits limits;
    limits.rows = rows;
    limits.planes = a.state.rows();
    limits.records = a.records.empty() ? 0 : a.records.rows();
    limits.record_slots = a.records.empty() ? 0 : a.record_slots;
    return check_recurrent_tables(name, a.runs, a.steps, limits);
  }

  // Of one run that keeps its last state: the state is read and written once.
  static Cost cost(const Args& a) noexcept {
    const auto state = static_cast<double>(a.value_heads * head_state(a));
    return {static_cast<double>(a.x.bytes() + a.decay.bytes() + a.beta.bytes() + a.y.bytes()) +
                8 * state,
            7 * state * static_cast<double>(a.x.rows())};
  }
};

}  // namespace kedge::inline KEDGE_ABI::op
