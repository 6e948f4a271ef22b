// gated_delta micro-kernel.
//
// Prepare, unit (row, key head): q and k normalised (sum of squares in 16 lanes, folded by the
// fixed tree), e = exp(decay) of the value heads that use this key head, for KDA also e k; into
// scratch, and into the row's record if it leaves one.
//
// Rows, unit (run, value head, 32 columns). A lane is a column, so that sums over keys need no
// horizontal adds; a block of 16 columns is key_dim registers of memory (8 KiB for 128), which stay
// in the nearest cache while the run's rows go by. Per row and key i
//   s = fma(k_i, delta, e s)     stored
//   y += s q_i                   this row's output
//   kv += s k'_i                 what the next row's delta needs
// so that the state is gone through once per row: four arithmetic instructions per register, two
// blocks sharing the broadcasts of k, q and k'. kv of a run's first row, and of a row whose parent
// is not the row before it, takes a sweep of its own. A plane that a row leaves is written in the
// same sweep. y and kv are two chains each, of even and odd keys.
#include "kedge/kernel/cpu/gated_delta.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {

using op::GatedDelta;

// Blocks of 16 columns that go together: what the accumulators and the temporaries of two take is
// more than 16 registers of 32 bytes.
constexpr int together = max_columns >= 16 ? 2 : 1;

// --- prepare

KEDGE_INLINE void normalise(const GatedDelta::Args& a, const float* x, float factor, float* to) {
  const int n = a.key_dim;
  F32x16 sum = zero();
  for (int i = 0; i < n; i += 16) {
    const F32x16 v = load_first(x + i, n - i);
    sum = fma(v, v, sum);
  }
  const float squares = reduce_add(sum);
  float norm = __builtin_sqrtf(a.l2_max ? squares : squares + a.l2_eps);
  if (a.l2_max && norm < a.l2_eps) norm = a.l2_eps;
  const F32x16 scale = set1(1.0f / norm), last = set1(factor);
  for (int i = 0; i < n; i += 16)
    store_first(to + i, mul(mul(load_first(x + i, n - i), scale), last), n - i);
}

KEDGE_INLINE void copy(float* to, const float* from, std::int64_t count) {
  __builtin_memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
}

void prepare(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const GatedDelta::Args*>(args);
  const bool channel = GatedDelta::channel_decay(a);
  const std::int64_t keys = GatedDelta::keys(a), group = a.value_heads / a.key_heads;
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(a.key_dim));
  for (std::size_t unit = begin; unit < end; ++unit) {
    const auto row = static_cast<std::int64_t>(unit) / a.key_heads;
    const auto head = static_cast<std::int64_t>(unit) % a.key_heads;
    const float* x = a.x.row<float>(row) + head * a.key_dim;
    float* q = a.scratch.row<float>(row) + head * a.key_dim;
    float *k = q + keys, *e = a.scratch.row<float>(row) + 2 * keys;
    normalise(a, x, scale, q);
    normalise(a, x + keys, 1.0f, k);
    const float* decay = a.decay.row<float>(row);
    const std::int64_t width = channel ? a.key_dim : 1;
    const std::int32_t slot = op::recurrent_step(a.steps, row).record;
    float* record = slot < 0 ? nullptr : a.records.row<float>(slot);
    if (record != nullptr) copy(record + head * a.key_dim, k, a.key_dim);
    for (std::int64_t m = 0; m < group; ++m) {
      const std::int64_t h = a.grouped ? head * group + m : head + m * a.key_heads;
      for (std::int64_t i = 0; i < width; i += 16) {
        const auto left = static_cast<int>(width - i);
        const std::int64_t at = h * width + i;
        const F32x16 value = exp(load_first(decay + at, left));
        store_first(e + at, value, left);
        if (channel)
          store_first(e + a.decay.width() + at, mul(value, load_first(k + i, left)), left);
      }
      if (record != nullptr) copy(record + keys + h * width, e + h * width, width);
    }
  }
}

// --- rows

// What a sweep over the keys reads of a row: e is one value, or one per key for KDA.
struct RowKeys {
  const float *k, *q, *e;
  const float* next;  // k of the next row (e k for KDA)
};

// Where a block begins in a head's state, and where a sweep leaves it. Distances are those of full
// blocks; a narrower last block is worked on in `local`, padded to 16 columns.
struct Places {
  const float* from;
  float* local;  // null: not kept
  float* plane;  // null: not kept
  int keys;
};

template <int blocks>
struct Chains {
  F32x16 even[blocks], odd[blocks];
  KEDGE_INLINE void begin() {
    for (int b = 0; b < blocks; ++b) even[b] = odd[b] = zero();
  }
  KEDGE_INLINE void end(F32x16* sum) const {
    for (int b = 0; b < blocks; ++b) sum[b] = add(even[b], odd[b]);
  }
};

// s = fma(k, delta, e s) of key i in every block, left where `p` says.
template <int blocks, bool channel>
KEDGE_INLINE void step(const Places& p, int i, const float* k, const float* e, F32x16 decay,
                       const F32x16* delta, F32x16* s) {
  const F32x16 key = set1(k[i]);
  if constexpr (channel) decay = set1(e[i]);
  for (int b = 0; b < blocks; ++b) {
    const int at = (b * p.keys + i) * 16;
    s[b] = fma(key, delta[b], mul(decay, load(p.from + at)));
    if (p.local != nullptr) store(p.local + at, s[b]);
    if (p.plane != nullptr) store(p.plane + at, s[b]);
  }
}

template <int blocks>
KEDGE_INLINE void accumulate(F32x16* chain, const F32x16* s, float factor) {
  const F32x16 f = set1(factor);
  for (int b = 0; b < blocks; ++b) chain[b] = fma(s[b], f, chain[b]);
}

// The sweep of a row. y and kv: sums per block.
template <int blocks, bool channel, bool next>
__attribute__((noinline)) void advance(const Places& places, const RowKeys& row,
                                       const F32x16* delta_, F32x16* y, F32x16* kv) {
  const Places p = places;
  const float *k = row.k, *q = row.q, *ahead = row.next, *e = row.e;
  F32x16 delta[blocks], s[blocks];
  for (int b = 0; b < blocks; ++b) delta[b] = delta_[b];
  const F32x16 decay = set1(*e);
  Chains<blocks> out, look;
  out.begin();
  look.begin();
  int i = 0;
  for (; i + 2 <= p.keys; i += 2) {
    step<blocks, channel>(p, i, k, e, decay, delta, s);
    accumulate<blocks>(out.even, s, q[i]);
    if constexpr (next) accumulate<blocks>(look.even, s, ahead[i]);
    step<blocks, channel>(p, i + 1, k, e, decay, delta, s);
    accumulate<blocks>(out.odd, s, q[i + 1]);
    if constexpr (next) accumulate<blocks>(look.odd, s, ahead[i + 1]);
  }
  if (i < p.keys) {
    step<blocks, channel>(p, i, k, e, decay, delta, s);
    accumulate<blocks>(out.even, s, q[i]);
    if constexpr (next) accumulate<blocks>(look.even, s, ahead[i]);
  }
  out.end(y);
  if constexpr (next) look.end(kv);
}

// The same of a record: only the state.
template <int blocks, bool channel>
__attribute__((noinline)) void replay(const Places& places, const float* k, const float* e,
                                      const F32x16* delta_) {
  const Places p = places;
  F32x16 delta[blocks], s[blocks];
  for (int b = 0; b < blocks; ++b) delta[b] = delta_[b];
  const F32x16 decay = set1(*e);
  for (int i = 0; i < p.keys; ++i) step<blocks, channel>(p, i, k, e, decay, delta, s);
}

// kv = S^T k alone.
template <int blocks>
__attribute__((noinline)) void project(const float* from, int keys, const float* k, F32x16* kv) {
  Chains<blocks> look;
  look.begin();
  const auto key = [&](F32x16 * chain, int i) __attribute__((always_inline)) {
    const F32x16 f = set1(k[i]);
    for (int b = 0; b < blocks; ++b) chain[b] = fma(load(from + (b * keys + i) * 16), f, chain[b]);
  };
  int i = 0;
  for (; i + 2 <= keys; i += 2) {
    key(look.even, i);
    key(look.odd, i + 1);
  }
  if (i < keys) key(look.even, i);
  look.end(kv);
}

// `blocks` blocks of one head through the rows of a run. `width`: columns of the last of them.
template <int blocks, bool channel>
struct Columns {
  const GatedDelta::Args& a;
  const op::RecurrentRun& run;
  std::int64_t head, first;  // value head, first column
  int width;
  float* local;  // blocks * 16 * key_dim
  bool based = false;

  std::int64_t key_at = GatedDelta::key_head(a, head) * a.key_dim;
  std::int64_t keys = GatedDelta::keys(a);
  std::int64_t decay_at = channel ? head * a.key_dim : head;
  std::int64_t value_at = head * a.value_dim + first;

  KEDGE_INLINE bool full() const { return width == 16; }
  KEDGE_INLINE float* plane(std::int32_t index) const {
    return a.state.row<float>(index) + head * GatedDelta::head_state(a) + first * a.key_dim;
  }
  KEDGE_INLINE F32x16 take(const float* from, int b) const {
    return full() ? load(from + 16 * b) : load_first(from, width);
  }
  KEDGE_INLINE void give(float* to, const F32x16* values) const {
    if (full())
      for (int b = 0; b < blocks; ++b) store(to + 16 * b, values[b]);
    else store_first(to, values[0], width);
  }

  // A plane as sweeps read it: where it is, or padded in `local`.
  const float* open(std::int32_t index) {
    const float* from = plane(index);
    if (full()) return from;
    for (int i = 0; i < a.key_dim; ++i) store(local + 16 * i, load_first(from + i * width, width));
    return local;
  }
  void write(const float* from, std::int32_t index) {
    float* to = plane(index);
    if (full()) {
      for (int i = 0; i < blocks * a.key_dim; ++i) store(to + 16 * i, load(from + 16 * i));
    } else {
      for (int i = 0; i < a.key_dim; ++i) store_first(to + i * width, load(from + 16 * i), width);
    }
  }

  void replay_record(const float*& from, std::int64_t slot) {
    const float* record = a.records.row<float>(slot);
    F32x16 delta[blocks];
    for (int b = 0; b < blocks; ++b) delta[b] = take(record + keys + a.decay.width() + value_at, b);
    replay<blocks, channel>({from, local, nullptr, a.key_dim}, record + key_at,
                            record + keys + decay_at, delta);
    from = local;
  }

  // The run's incoming state: its plane and the accepted records.
  const float* incoming() {
    if (based) return open(run.base_plane);
    const float* from = local;
    if (run.plane >= 0) from = open(run.plane);
    else
      for (int i = 0; i < blocks * a.key_dim; ++i) store(local + 16 * i, zero());
    for (std::int32_t s = 0; s < run.replay; ++s)
      replay_record(from, op::ring_slot(run.record, s, a.record_slots));
    if (run.base_plane >= 0 && run.base_after == 0) {
      write(from, run.base_plane);
      based = true;
    }
    return from;
  }

  // The state after `row` of this run, which is not the one that was just computed: from the
  // nearest ancestor that left a plane, through the records of those after it.
  const float* state_after(std::int32_t row) {
    int between = 0;
    std::int32_t anchor = row;
    for (; anchor >= 0 && op::recurrent_step(a.steps, anchor).plane < 0; ++between)
      anchor = op::recurrent_step(a.steps, anchor).parent;
    const float* from = anchor < 0 ? incoming() : open(op::recurrent_step(a.steps, anchor).plane);
    for (; between > 0; --between) {
      std::int32_t at = row;
      for (int up = 1; up < between; ++up) at = op::recurrent_step(a.steps, at).parent;
      replay_record(from, op::recurrent_step(a.steps, at).record);
    }
    return from;
  }

  KEDGE_INLINE const float* row_keys(std::int64_t row) const {
    return channel ? a.scratch.row<float>(row) + 2 * keys + a.decay.width() + decay_at
                   : a.scratch.row<float>(row) + keys + key_at;
  }

  void go() {
    const float* from = nullptr;
    F32x16 kv[blocks], delta[blocks], y[blocks];
    const std::int32_t end = run.first + run.rows;
    for (std::int32_t r = run.first; r < end; ++r) {
      const op::RecurrentStep& at = op::recurrent_step(a.steps, r);
      if (from == nullptr) {
        from = at.parent < 0 ? incoming() : state_after(at.parent);
        project<blocks>(from, a.key_dim, row_keys(r), kv);
      }
      const float* scratch = a.scratch.row<float>(r);
      const float* e = scratch + 2 * keys + decay_at;
      const float* v = a.x.row<float>(r) + 2 * keys + value_at;
      const F32x16 beta = set1(a.beta.row<float>(r)[head]), minus_e = set1(-*e);
      for (int b = 0; b < blocks; ++b)
        delta[b] = mul(beta, channel ? sub(take(v, b), kv[b]) : fma(minus_e, kv[b], take(v, b)));
      if (at.record >= 0)
        give(a.records.row<float>(at.record) + keys + a.decay.width() + value_at, delta);

      const bool next = r + 1 < end && op::recurrent_step(a.steps, r + 1).parent == r;
      std::int32_t kept[2];
      int planes = 0;
      if (at.plane >= 0) kept[planes++] = at.plane;
      if (run.base_plane >= 0 && run.base_after == r - run.first + 1)
        kept[planes++] = run.base_plane;
      const bool direct = full() && planes > 0;
      const Places places{from, next || planes > direct ? local : nullptr,
                          direct ? plane(kept[0]) : nullptr, a.key_dim};
      const RowKeys row{scratch + keys + key_at, scratch + key_at, e,
                        next ? row_keys(r + 1) : nullptr};
      if (next) advance<blocks, channel, true>(places, row, delta, y, kv);
      else advance<blocks, channel, false>(places, row, delta, y, kv);
      for (int i = direct; i < planes; ++i) write(local, kept[i]);
      give(a.y.row<float>(r) + value_at, y);
      from = next ? local : nullptr;
    }
  }
};

template <bool channel>
void delta_rows(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const GatedDelta::Args*>(args);
  alignas(64) float local[together * 16 * GatedDelta::max_dim];
  const auto groups = static_cast<std::size_t>(delta_groups(a));
  const auto heads = static_cast<std::size_t>(a.value_heads);
  for (std::size_t unit = begin; unit < end; ++unit) {
    const op::RecurrentRun& run =
        op::recurrent_run(a.runs, static_cast<std::int64_t>(unit / groups / heads));
    const auto head = static_cast<std::int64_t>(unit / groups % heads);
    std::int64_t column = static_cast<std::int64_t>(unit % groups) * delta_columns;
    const std::int64_t group_end = column + delta_columns;
    const std::int64_t last = group_end < a.value_dim ? group_end : a.value_dim;
    while (column < last) {
      const std::int64_t left = last - column;
      if (together == 2 && left == delta_columns) {
        Columns<together, channel>{a, run, head, column, 16, local}.go();
        column += 32;
      } else {
        const int width = left < 16 ? static_cast<int>(left) : 16;
        Columns<1, channel>{a, run, head, column, width, local}.go();
        column += 16;
      }
    }
  }
}

}  // namespace
}  // namespace KEDGE_ISA

extern const GatedDeltaUnit KEDGE_UNIT(gated_delta);
const GatedDeltaUnit KEDGE_UNIT(gated_delta) = {
    KEDGE_ISA::prepare, {KEDGE_ISA::delta_rows<false>, KEDGE_ISA::delta_rows<true>}};

}  // namespace kedge::inline KEDGE_ABI::cpu
