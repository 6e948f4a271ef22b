// gated_delta micro-kernel.
//
// Prepare, unit (row, key head): q and k normalised (sum of squares in 16 lanes, folded by the
// fixed tree), e = exp(decay) of the value heads that use this key head, for KDA also e k; into
// scratch, and into the row's record if it leaves one.
//
// Rows, unit (run, value head, block of 32 columns). A lane is a column, so that sums over keys
// need no horizontal adds; a block is 16 KiB for 128 keys, which stay in the nearest cache while
// the run's rows go by. Per row and key i
//   s = fma(k_i, delta, e s)     stored
//   y += s q_i                   this row's output
//   kv += s k'_i                 what the next row's delta needs
// so that the state is gone through once per row: four arithmetic instructions per register, the
// two registers of a key sharing the broadcasts of k, q and k'. They lie side by side: 4 KiB apart,
// a load would wait for the store that went before it, whose address has the same low bits. kv of a
// run's first row, and of a row whose parent is not the row before it, takes a sweep of its own. A
// plane that a row leaves is written in the same sweep, except one in the midst of a run, which the
// rows after it bring out line by line, as all rows of a run bring in what the next unit begins
// with: in one sweep, memory would take as long as the arithmetic of four. y and kv are two chains
// each, of even and odd keys.
#include "kedge/kernel/cpu/float_row.hpp"
#include "kedge/kernel/cpu/gated_delta.hpp"
#include "kedge/kernel/cpu/simd/math-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {
namespace KEDGE_ISA {
namespace {
namespace delta {

using op::GatedDelta;

// Registers of 16 columns that go together: what the accumulators and the temporaries of two take
// is more than 16 registers of 32 bytes.
constexpr int together = max_columns >= 16 ? 2 : 1;
constexpr int stride = static_cast<int>(op::DeltaLayout::block);  // between keys of a full block

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
    const float* x = float_row(a.x, row) + head * a.key_dim;
    float* q = float_row(a.scratch, row) + head * a.key_dim;
    float *k = q + keys, *e = float_row(a.scratch, row) + 2 * keys;
    normalise(a, x, scale, q);
    normalise(a, x + keys, 1.0f, k);
    const float* decay = float_row(a.decay, row);
    const std::int64_t width = channel ? a.key_dim : 1;
    const std::int32_t slot = op::recurrent_step(a.steps, row).record;
    float* record = slot < 0 ? nullptr : float_row(a.records, slot);
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

// How a sweep leaves a plane. Streamed stores spare reading the lines first, a third of the traffic
// of a plane; padded and unaligned ones are stored plainly.
enum class Leave { nothing, stored, streamed };

// Where a sweep reads its columns and leaves them, all with `stride` between keys: a narrower last
// block is worked on in `local`, padded.
struct Places {
  const float* from;
  float* local;  // what the next row reads
  float* plane;  // what stays
  int keys;
};

// What a sweep does for memory beside its own work, at every second key.
struct Aside {
  const float* ahead;  // the next unit's state: a line is fetched here,
  int step;            // and so many values further the next time
  // A state that stays, `line` values between its lines: one is brought to its plane.
  const float* kept = nullptr;
  float* plane = nullptr;
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

// s = fma(k, delta, e s) of key i, left where wanted.
template <int blocks, bool channel, bool local, Leave plane>
KEDGE_INLINE void step(const Places& p, int i, const float* k, const float* e, F32x16 decay,
                       const F32x16* delta, F32x16* s) {
  const F32x16 key = set1(k[i]);
  if constexpr (channel) decay = set1(e[i]);
  for (int b = 0; b < blocks; ++b)
    s[b] = fma(key, delta[b], mul(decay, load(p.from + i * stride + 16 * b)));
  for (int b = 0; b < blocks; ++b) {
    if constexpr (local) store(p.local + i * stride + 16 * b, s[b]);
    if constexpr (plane == Leave::stored) store(p.plane + i * stride + 16 * b, s[b]);
    if constexpr (plane == Leave::streamed) stream(p.plane + i * stride + 16 * b, s[b]);
  }
}

template <int blocks>
KEDGE_INLINE void accumulate(F32x16* chain, const F32x16* s, float factor) {
  const F32x16 f = set1(factor);
  for (int b = 0; b < blocks; ++b) chain[b] = fma(s[b], f, chain[b]);
}

// Values from a register of a key to the next one of these columns: a line.
template <int blocks>
constexpr int line = stride / blocks;

// The sweep of a row. y and kv: sums per register. `next`: a row follows, which reads `local`.
// `lines` are fetched at a time; `bring`: a state that stays is brought out.
template <int blocks, bool channel, bool next, Leave plane, int lines, bool bring>
__attribute__((noinline)) void advance(const Places& places, const Aside& beside,
                                       const RowKeys& row, const F32x16* delta_, F32x16* y,
                                       F32x16* kv) {
  const Places p = places;
  Aside aside = beside;
  const float *k = row.k, *q = row.q, *ahead = row.next, *e = row.e;
  F32x16 delta[blocks], s[blocks];
  for (int b = 0; b < blocks; ++b) delta[b] = delta_[b];
  const F32x16 decay = set1(*e);
  Chains<blocks> out, look;
  out.begin();
  look.begin();
  int i = 0;
  for (; i + 2 <= p.keys; i += 2) {
    for (int l = 0; l < lines; ++l) prefetch(aside.ahead + l * line<blocks>);
    aside.ahead += aside.step;
    if constexpr (bring) {
      stream(aside.plane, load(aside.kept));
      aside.kept += line<blocks>;
      aside.plane += line<blocks>;
    }
    step<blocks, channel, next, plane>(p, i, k, e, decay, delta, s);
    accumulate<blocks>(out.even, s, q[i]);
    if constexpr (next) accumulate<blocks>(look.even, s, ahead[i]);
    step<blocks, channel, next, plane>(p, i + 1, k, e, decay, delta, s);
    accumulate<blocks>(out.odd, s, q[i + 1]);
    if constexpr (next) accumulate<blocks>(look.odd, s, ahead[i + 1]);
  }
  if (i < p.keys) {
    step<blocks, channel, next, plane>(p, i, k, e, decay, delta, s);
    accumulate<blocks>(out.even, s, q[i]);
    if constexpr (next) accumulate<blocks>(look.even, s, ahead[i]);
  }
  out.end(y);
  if constexpr (next) look.end(kv);
}

// The same of a record: only the state.
template <int blocks, bool channel, Leave plane>
__attribute__((noinline)) void replay(const Places& places, const float* k, const float* e,
                                      const F32x16* delta_) {
  const Places p = places;
  F32x16 delta[blocks], s[blocks];
  for (int b = 0; b < blocks; ++b) delta[b] = delta_[b];
  const F32x16 decay = set1(*e);
  for (int i = 0; i < p.keys; ++i) step<blocks, channel, true, plane>(p, i, k, e, decay, delta, s);
}

// kv = S^T k alone.
template <int blocks>
__attribute__((noinline)) void project(const float* from, int keys, const float* k, F32x16* kv) {
  Chains<blocks> look;
  look.begin();
  const auto key = [&](F32x16 * chain, int i) __attribute__((always_inline)) {
    const F32x16 f = set1(k[i]);
    for (int b = 0; b < blocks; ++b) chain[b] = fma(load(from + i * stride + 16 * b), f, chain[b]);
  };
  int i = 0;
  for (; i + 2 <= keys; i += 2) {
    key(look.even, i);
    key(look.odd, i + 1);
  }
  if (i < keys) key(look.even, i);
  look.end(kv);
}

// `blocks` registers of columns of one head through the rows of a run.
template <int blocks, bool channel>
struct Columns {
  const GatedDelta::Args& a;
  const op::RecurrentRun& run;
  std::int64_t head, first;  // value head, first column
  int width;                 // columns, at most 16 * blocks
  int block_width;           // columns of the block that they are in
  float* local;              // stride * key_dim
  float* spare;              // the same again
  bool based = false;

  std::int64_t key_at = GatedDelta::key_head(a, head) * a.key_dim;
  std::int64_t keys = GatedDelta::keys(a);
  std::int64_t decay_at = channel ? head * a.key_dim : head;
  std::int64_t value_at = head * a.value_dim + first;

  KEDGE_INLINE bool full() const { return block_width == stride; }
  KEDGE_INLINE float* plane(std::int32_t index) const {
    return float_row(a.state, index) + head * GatedDelta::head_state(a) +
           first / stride * stride * a.key_dim + first % stride;
  }
  KEDGE_INLINE F32x16 take(const float* from, int b) const {
    return width >= 16 * b + 16 ? load(from + 16 * b) : load_first(from + 16 * b, width - 16 * b);
  }
  KEDGE_INLINE void give(float* to, const F32x16* values) const {
    for (int b = 0; b < blocks; ++b)
      if (width >= 16 * b + 16) store(to + 16 * b, values[b]);
      else store_first(to + 16 * b, values[b], width - 16 * b);
  }

  // A plane as sweeps read it: where it is, or padded in `local`.
  const float* open(std::int32_t index) {
    const float* from = plane(index);
    if (full()) return from;
    for (int i = 0; i < a.key_dim; ++i)
      for (int b = 0; b < blocks; ++b)
        store(local + i * stride + 16 * b, take(from + i * block_width, b));
    return local;
  }
  void write(const float* from, std::int32_t index) {
    float* to = plane(index);
    F32x16 s[blocks];
    for (int i = 0; i < a.key_dim; ++i) {
      for (int b = 0; b < blocks; ++b) s[b] = load(from + i * stride + 16 * b);
      give(to + i * block_width, s);
    }
  }

  // Applies a record and leaves the state in `local`, and in `plane` unless that is -1.
  const float* replay_record(const float* from, std::int64_t slot, std::int32_t kept) {
    const float* record = float_row(a.records, slot);
    F32x16 delta[blocks];
    for (int b = 0; b < blocks; ++b) delta[b] = take(record + keys + a.decay.width() + value_at, b);
    const bool direct = kept >= 0 && full();
    const Places places{from, local, direct ? plane(kept) : nullptr, a.key_dim};
    const float *k = record + key_at, *e = record + keys + decay_at;
    if (!direct) replay<blocks, channel, Leave::nothing>(places, k, e, delta);
    else if (aligned(places.plane)) replay<blocks, channel, Leave::streamed>(places, k, e, delta);
    else replay<blocks, channel, Leave::stored>(places, k, e, delta);
    if (kept >= 0 && !direct) write(local, kept);
    return local;
  }

  // The run's incoming state: its plane and the accepted records.
  const float* incoming() {
    if (based) return open(run.base_plane);
    const float* from = local;
    if (run.plane >= 0) from = open(run.plane);
    else
      for (int i = 0; i < a.key_dim; ++i)
        for (int b = 0; b < blocks; ++b) store(local + i * stride + 16 * b, zero());
    based = run.base_plane >= 0 && run.base_after == 0;
    for (std::int32_t s = 0; s < run.replay; ++s)
      from = replay_record(from, op::ring_slot(run.record, s, a.record_slots),
                           based && s + 1 == run.replay ? run.base_plane : -1);
    if (based && run.replay == 0) write(from, run.base_plane);
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
      from = replay_record(from, op::recurrent_step(a.steps, at).record, -1);
    }
    return from;
  }

  KEDGE_INLINE const float* row_keys(std::int64_t row) const {
    return channel ? float_row(a.scratch, row) + 2 * keys + a.decay.width() + decay_at
                   : float_row(a.scratch, row) + keys + key_at;
  }

  KEDGE_INLINE static bool aligned(const float* p) {
    return reinterpret_cast<std::uintptr_t>(p) % 64 == 0;
  }

  // Sweeps that a state in memory is shared among, a line at two keys of each.
  static constexpr int sharing = 2 * blocks;
  // Lines of `aside.kept` that are not in its plane yet.
  int left = 0;

  void keep(Aside& aside, std::int32_t index) {
    aside.kept = local;
    aside.plane = plane(index);
    left = a.key_dim * blocks;
    float* other = spare;
    spare = local;
    local = other;
  }
  // After `done` lines; the last ones, too few for a sweep, and all if nothing follows, at once.
  void brought(Aside& aside, int done, bool last) {
    left -= done;
    aside.kept += done * line<blocks>;
    aside.plane += done * line<blocks>;
    if (left >= a.key_dim / 2 && !last) return;
    for (int i = 0; i < left; ++i)
      stream(aside.plane + i * line<blocks>, load(aside.kept + i * line<blocks>));
    aside.kept = nullptr;
  }

  template <bool next, int lines>
  KEDGE_INLINE static void sweep(Leave leave, const Places& places, const Aside& aside,
                                 const RowKeys& row, const F32x16* delta, F32x16* y, F32x16* kv) {
    const auto with = [&]<Leave plane, bool bring>() {
      advance<blocks, channel, next, plane, lines, bring>(places, aside, row, delta, y, kv);
    };
    if (leave == Leave::stored) with.template operator()<Leave::stored, false>();
    else if (leave == Leave::streamed) with.template operator()<Leave::streamed, false>();
    else if (aside.kept == nullptr) with.template operator()<Leave::nothing, false>();
    else with.template operator()<Leave::nothing, true>();
  }

  // What the sweep of `row` reads lies far from what this one reads: no hardware sees it coming.
  KEDGE_INLINE void fetch(std::int32_t row) const {
    const float* v = float_row(a.x, row) + 2 * keys + value_at;
    prefetch(v);
    prefetch(v + 16);
    const float* y = float_row(a.y, row) + value_at;  // its stores would hold up those of the state
    prefetch(y);
    prefetch(y + 16);
    const float* q = float_row(a.scratch, row) + key_at;
    for (int i = 0; i < a.key_dim; i += 16) {
      prefetch(q + i);
      prefetch(q + keys + i);
    }
  }

  void go() {
    const float* from = nullptr;
    F32x16 kv[blocks], delta[blocks], y[blocks];
    const std::int32_t end = run.first + run.rows;
    // The state that lies behind this one is fetched by all rows, or by the last one where they are
    // too few; from further away than the rows of many it would be gone before it is wanted.
    constexpr int most = 2 * stride;
    const int fetching = run.rows < sharing ? 1 : run.rows < most ? run.rows : most;
    const int each = (most + fetching - 1) / fetching;
    Aside aside{plane(run.plane < 0 ? 0 : run.plane) + stride * a.key_dim, 0};
    for (std::int32_t r = run.first; r < end; ++r) {
      const op::RecurrentStep& at = op::recurrent_step(a.steps, r);
      if (from == nullptr) {
        if (aside.kept != nullptr) brought(aside, 0, true);
        from = at.parent < 0 ? incoming() : state_after(at.parent);
        project<blocks>(from, a.key_dim, row_keys(r), kv);
      }
      const float* scratch = float_row(a.scratch, r);
      const float* e = scratch + 2 * keys + decay_at;
      const float* v = float_row(a.x, r) + 2 * keys + value_at;
      const F32x16 beta = set1(float_row(a.beta, r)[head]), minus_e = set1(-*e);
      for (int b = 0; b < blocks; ++b)
        delta[b] = mul(beta, channel ? sub(take(v, b), kv[b]) : fma(minus_e, kv[b], take(v, b)));
      if (at.record >= 0)
        give(float_row(a.records, at.record) + keys + a.decay.width() + value_at, delta);

      const bool next = r + 1 < end && op::recurrent_step(a.steps, r + 1).parent == r;
      const bool base = run.base_plane >= 0 && run.base_after == r - run.first + 1;
      const std::int32_t kept = at.plane >= 0 ? at.plane : base ? run.base_plane : -1;
      // A padded block, or one that goes to two planes, passes through `local`.
      const bool direct = kept >= 0 && full();
      const bool through = kept >= 0 && !next && !direct;
      // Brought out by the rows that follow.
      const bool later = direct && base && at.plane < 0 && next && end - r > sharing &&
                         aside.kept == nullptr && aligned(plane(kept));
      const Places places{from, local, direct ? plane(kept) : local, a.key_dim};
      const RowKeys row{scratch + keys + key_at, scratch + key_at, e,
                        next ? row_keys(r + 1) : nullptr};
      const Leave leave = later     ? Leave::nothing
                          : direct  ? aligned(places.plane) ? Leave::streamed : Leave::stored
                          : through ? Leave::stored
                                    : Leave::nothing;
      aside.step = end - r <= fetching ? each : 0;
      if (r + 1 < end) fetch(r + 1);
      if (next) sweep<true, 1>(leave, places, aside, row, delta, y, kv);
      else if (fetching > 1) sweep<false, 1>(leave, places, aside, row, delta, y, kv);
      else sweep<false, sharing>(leave, places, aside, row, delta, y, kv);
      aside.ahead += a.key_dim / 2 * aside.step;
      if (aside.kept != nullptr) brought(aside, leave == Leave::nothing ? a.key_dim / 2 : 0, !next);
      if (kept >= 0 && !direct) write(local, kept);
      if (base && kept != run.base_plane) write(direct ? plane(kept) : local, run.base_plane);
      give(float_row(a.y, r) + value_at, y);
      from = next ? local : nullptr;
      if (later) keep(aside, kept);
    }
  }
};

template <bool channel>
void delta_rows(const void* args, const Launch&, std::size_t begin, std::size_t end) noexcept {
  const auto& a = *static_cast<const GatedDelta::Args*>(args);
  const op::DeltaLayout layout{a.key_dim, a.value_dim};
  alignas(64) float local[stride * GatedDelta::max_dim], spare[stride * GatedDelta::max_dim];
  const auto groups = static_cast<std::size_t>(delta_groups(a));
  const auto heads = static_cast<std::size_t>(a.value_heads);
  for (std::size_t unit = begin; unit < end; ++unit) {
    const op::RecurrentRun& run =
        op::recurrent_run(a.runs, static_cast<std::int64_t>(unit / groups / heads));
    const auto head = static_cast<std::int64_t>(unit / groups % heads);
    const auto block = static_cast<std::int64_t>(unit % groups);
    const auto columns = static_cast<int>(layout.width(block));
    for (int column = 0; column < columns;) {
      const std::int64_t first = block * stride + column;
      const int left = columns - column;
      if (together == 2 && left > 16) {
        Columns<together, channel>{a, run, head, first, left, columns, local, spare}.go();
        column = columns;
      } else {
        const int width = left < 16 ? left : 16;
        Columns<1, channel>{a, run, head, first, width, columns, local + column, spare + column}
            .go();
        column += 16;
      }
    }
  }
  stream_end();
}

}  // namespace delta
}  // namespace
}  // namespace KEDGE_ISA

extern const GatedDeltaUnit KEDGE_UNIT(gated_delta);
const GatedDeltaUnit KEDGE_UNIT(gated_delta) = {
    KEDGE_ISA::delta::prepare,
    {KEDGE_ISA::delta::delta_rows<false>, KEDGE_ISA::delta::delta_rows<true>}};

}  // namespace kedge::inline KEDGE_ABI::cpu
