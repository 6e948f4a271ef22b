// op/gated_delta.hpp. KEDGE_PREPARE: q and k normalized, e = exp(decay), for KDA e k, into scratch, and
// k and e into the records that rows leave. Else: a team of 8 lanes takes `columns` columns of one
// head through the rows of a run. Lane p has keys p n .. p n + n - 1 (n = key_dim / 8 rounded up) of
// each column in registers, so that a state is loaded once per run, whatever its rows; S^T k and S^T q
// are chains over a lane's keys, then the fixed tree over the 8 lanes. A column's bytes depend on
// key_dim alone, never on columns, lanes, runs or what is kept.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "kedge/abi/gated_delta.h"

#include "common/grid.glsl"
#include "common/math.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Decay { float decay[]; };
layout(std430, set = 0, binding = 2) readonly buffer Beta { float beta[]; };
layout(std430, set = 0, binding = 3) readonly buffer Runs { int runs[]; };
layout(std430, set = 0, binding = 4) readonly buffer Steps { ivec4 steps[]; };
layout(std430, set = 0, binding = 5) buffer State { float state[]; };
layout(std430, set = 0, binding = 5) buffer State4 { vec4 state4[]; };
layout(std430, set = 0, binding = 6) buffer Records { float records[]; };
layout(std430, set = 0, binding = 7) buffer Scratch { float scratch[]; };
layout(std430, set = 0, binding = 8) writeonly buffer Y { float y[]; };

#include "common/recurrent.glsl"

uint keys() { return push.key_heads * key_dim; }
uint values() { return push.value_heads * value_dim; }
uint decays() { return push.value_heads * (channel_decay != 0 ? key_dim : 1); }
uint record_width() { return keys() + decays() + values(); }
uint scratch_width() { return 2 * keys() + decays() * (channel_decay != 0 ? 2 : 1); }

#if KEDGE_PREPARE

#define REDUCE_COUNT 2
#include "common/reduce.glsl"

float norm_of(float sum) {
  precise float root = l2_max != 0 ? max(sqrt(sum), push.l2_eps) : sqrt(sum + push.l2_eps);
  return root;
}

void main() {
  const uint unit = linear_workgroup(), row = unit / push.key_heads, head = unit % push.key_heads;
  if (row >= push.rows) return;
  const uint from = row * (2 * keys() + values()) + head * key_dim;
  const uint to = row * scratch_width() + head * key_dim;
  const int slot = steps[row].STEP_RECORD;

  precise float sum[2];
  sum[0] = sum[1] = 0.0;
  for (uint i = lane(); i < key_dim; i += gl_WorkGroupSize.x) {
    const float q = x[from + i], k = x[from + keys() + i];
    sum[0] = sum[0] + q * q;
    sum[1] = sum[1] + k * k;
  }
  reduce_add(sum);
  precise float scale_q = push.query_scale / norm_of(sum[0]);
  precise float scale_k = 1.0 / norm_of(sum[1]);

  // Value heads of this key head.
  const uint shares = push.value_heads / push.key_heads;
  const uint first = grouped != 0 ? head * shares : head;
  const uint step = grouped != 0 ? 1 : push.key_heads;
  const uint e_at = row * scratch_width() + 2 * keys();
  const uint record = uint(max(slot, 0)) * record_width();
  for (uint i = lane(); i < key_dim; i += gl_WorkGroupSize.x) {
    precise float q = x[from + i] * scale_q;
    precise float k = x[from + keys() + i] * scale_k;
    scratch[to + i] = q;
    scratch[to + keys() + i] = k;
    if (slot >= 0) records[record + head * key_dim + i] = k;
    if (channel_decay == 0) continue;
    for (uint n = 0; n < shares; ++n) {
      const uint at = (first + n * step) * key_dim + i;
      const float e = exact_exp(decay[row * decays() + at]);
      precise float ek = e * k;
      scratch[e_at + at] = e;
      scratch[e_at + decays() + at] = ek;
      if (slot >= 0) records[record + keys() + at] = e;
    }
  }
  if (channel_decay != 0) return;
  for (uint n = lane(); n < shares; n += gl_WorkGroupSize.x) {
    const uint at = first + n * step;
    const float e = exact_exp(decay[row * decays() + at]);
    scratch[e_at + at] = e;
    if (slot >= 0) records[record + keys() + at] = e;
  }
}

#else

#if KEDGE_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
uint lane() { return gl_SubgroupInvocationID; }
#else
uint lane() { return gl_LocalInvocationIndex; }
shared float meeting[gl_WorkGroupSize.x * columns];
#endif

const uint mine = (key_dim + 7) / 8;    // keys of a lane
const uint fours = value_dim % 4 == 0 ? 1 : 0;  // columns come four at a time

float S[mine * columns];
float sums[columns];

// Where a team works.
struct Place {
  uint part;               // which of the 8 lanes
  uint head, first;        // value head, first column
  uint key_at, decay_at;   // of the head, in a row of keys and of decays
  uint block, width, row;  // of a plane: where the column's block begins, its width, first key's row
};
uint column_count(Place p) { return min(columns, value_dim - p.first); }

// sums of 8 lanes, ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)), for all of them.
void add_lanes() {
#if KEDGE_SUBGROUP
  [[unroll]] for (uint bit = 1; bit < 8; bit *= 2)
    [[unroll]] for (uint c = 0; c < columns; ++c) {
      precise float sum = sums[c] + subgroupShuffleXor(sums[c], bit);
      sums[c] = sum;
    }
#else
  const uint team = lane() / 8 * 8;
  [[unroll]] for (uint c = 0; c < columns; ++c) meeting[lane() * columns + c] = sums[c];
  barrier();
  [[unroll]] for (uint c = 0; c < columns; ++c) {
    float v[8];
    [[unroll]] for (uint i = 0; i < 8; ++i) v[i] = meeting[(team + i) * columns + c];
    precise float sum = ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
    sums[c] = sum;
  }
  barrier();
#endif
}

// A lane's keys of a row of keys.
void keys_at(uint at, uint part, const bool from_records, out float k[mine]) {
  [[unroll]] for (uint t = 0; t < mine; ++t) {
    const uint i = part * mine + t;
    const uint safe = at + min(i, key_dim - 1);
    const float value = from_records ? records[safe] : scratch[safe];
    k[t] = i < key_dim ? value : 0.0;
  }
}

uint plane_at(Place p, int plane, uint t) {
  return uint(plane) * (values() * key_dim) + p.block + (p.row + t) * p.width;
}

void load_plane(Place p, int plane) {
  const uint count = column_count(p);
  [[unroll]] for (uint t = 0; t < mine; ++t) {
    const bool real = plane >= 0 && p.row + t < key_dim;
    const uint at = plane_at(p, max(plane, 0), t);
    if (fours != 0) {
      [[unroll]] for (uint c = 0; c < columns; c += 4) {
        vec4 four = vec4(0.0);
        if (real && c < count) four = state4[(at + c) / 4];
        [[unroll]] for (uint i = 0; i < 4; ++i) S[t * columns + c + i] = four[i];
      }
    } else {
      [[unroll]] for (uint c = 0; c < columns; ++c) {
        S[t * columns + c] = 0.0;
        if (real && c < count) S[t * columns + c] = state[at + c];
      }
    }
  }
}

void store_plane(Place p, int plane) {
  if (plane < 0) return;
  const uint count = column_count(p);
  [[unroll]] for (uint t = 0; t < mine; ++t) {
    const uint at = plane_at(p, plane, t);
    if (p.row + t >= key_dim) continue;
    if (fours != 0) {
      [[unroll]] for (uint c = 0; c < columns; c += 4)
        if (c < count)
          state4[(at + c) / 4] = vec4(S[t * columns + c], S[t * columns + c + 1],
                                      S[t * columns + c + 2], S[t * columns + c + 3]);
    } else {
      [[unroll]] for (uint c = 0; c < columns; ++c)
        if (c < count) state[at + c] = S[t * columns + c];
    }
  }
}

// sums = S^T k over the lane's keys, then over the lanes.
void project(float k[mine]) {
  [[unroll]] for (uint c = 0; c < columns; ++c) {
    precise float sum = 0.0;
    [[unroll]] for (uint t = 0; t < mine; ++t) sum = sum + S[t * columns + c] * k[t];
    sums[c] = sum;
  }
  add_lanes();
}

// S = k delta + e S
void update(float k[mine], float e[mine], float delta[columns]) {
  [[unroll]] for (uint t = 0; t < mine; ++t)
    [[unroll]] for (uint c = 0; c < columns; ++c) {
      precise float less = e[t] * S[t * columns + c];
      precise float next = k[t] * delta[c] + less;
      S[t * columns + c] = next;
    }
}

// e of a lane's keys, from the first e of a row or record.
void decays_at(Place p, uint at, const bool from_records, out float e[mine]) {
  if (channel_decay != 0) {
    keys_at(at + p.decay_at, p.part, from_records, e);
    return;
  }
  const float one = from_records ? records[at + p.decay_at] : scratch[at + p.decay_at];
  [[unroll]] for (uint t = 0; t < mine; ++t) e[t] = one;
}

// The values that a team's columns have from `at` on, in every lane.
void columns_at(Place p, uint at, const bool from_records, out float v[columns]) {
  const uint last = column_count(p) - 1;
#if KEDGE_SUBGROUP
  const uint own = at + min(p.part % columns, last);
  const float value = from_records ? records[own] : x[own];
  [[unroll]] for (uint c = 0; c < columns; ++c) v[c] = subgroupShuffle(value, c);
#else
  [[unroll]] for (uint c = 0; c < columns; ++c)
    v[c] = from_records ? records[at + min(c, last)] : x[at + min(c, last)];
#endif
}

void replay(Place p, int slot) {
  const uint at = uint(slot) * record_width();
  float k[mine], e[mine], delta[columns];
  keys_at(at + p.key_at, p.part, true, k);
  decays_at(p, at + keys(), true, e);
  columns_at(p, at + keys() + decays() + p.head * value_dim + p.first, true, delta);
  update(k, e, delta);
}

// The state after `row` of a run, or the one that comes in (row < 0): from the nearest ancestor that
// left a plane, through the records of those after it.
void load_state(Place p, Run run, int row) {
  // What other lanes of the team wrote into records.
#if KEDGE_SUBGROUP
  subgroupMemoryBarrierBuffer();
#else
  memoryBarrierBuffer();
  barrier();
#endif
  int between = 0, anchor = row;
  while (anchor >= 0 && steps[anchor].STEP_PLANE < 0) {
    anchor = steps[anchor].STEP_PARENT;
    ++between;
  }
  load_plane(p, anchor >= 0 ? steps[anchor].STEP_PLANE : run.plane);
  const int accepted = anchor >= 0 ? 0 : run.replay;
  for (int n = 0; n < accepted + between; ++n) {
    int slot = ring_slot(run.record, min(n, accepted), int(max(push.record_slots, 1u)));
    if (n >= accepted) {
      int at = row;
      for (int up = accepted + between - 1 - n; up > 0; --up) at = steps[at].STEP_PARENT;
      slot = steps[at].STEP_RECORD;
    }
    replay(p, slot);
  }
}

// One lane of the team has each column.
void give_columns(Place p, float v[columns], uint y_at, int record) {
  float own = v[0];
  [[unroll]] for (uint c = 1; c < columns; ++c) own = p.part == c ? v[c] : own;
  if (p.part >= column_count(p)) return;
  if (record < 0) y[y_at + p.part] = own;
  else records[uint(record) * record_width() + keys() + decays() + p.head * value_dim + p.first +
               p.part] = own;
}

void compute_row(Place p, int row) {
  const uint at = uint(row) * scratch_width();
  float k[mine], q[mine], e[mine], v[columns];
  keys_at(at + keys() + p.key_at, p.part, false, k);
  keys_at(at + p.key_at, p.part, false, q);
  decays_at(p, at + 2 * keys(), false, e);
  columns_at(p, uint(row) * (2 * keys() + values()) + 2 * keys() + p.head * value_dim + p.first, false,
             v);
  const float b = beta[uint(row) * push.value_heads + p.head];
  if (channel_decay != 0) {
    float ek[mine];
    keys_at(at + 2 * keys() + decays() + p.decay_at, p.part, false, ek);
    project(ek);
  } else {
    project(k);
  }
  [[unroll]] for (uint c = 0; c < columns; ++c) {
    precise float decayed = channel_decay != 0 ? sums[c] : e[0] * sums[c];
    precise float delta = b * (v[c] - decayed);
    v[c] = delta;
  }
  const int record = steps[row].STEP_RECORD;
  if (record >= 0) give_columns(p, v, 0, record);
  update(k, e, v);
  project(q);
  [[unroll]] for (uint c = 0; c < columns; ++c) v[c] = sums[c];
  give_columns(p, v, uint(row) * values() + p.head * value_dim + p.first, -1);
}

void main() {
  const uint groups = (value_dim + columns - 1) / columns;
  const uint teams = gl_WorkGroupSize.x / 8;
  const uint head_units = (groups + teams - 1) / teams;  // workgroups of a head
  const uint unit = linear_workgroup();
  const uint index = unit / (push.value_heads * head_units);
  const bool real = index < uint(run_count());
  const Run run = run_at(real ? int(index) : 0);
  Place p;
  p.part = lane() % 8;
  p.head = unit / head_units % push.value_heads;
  // Teams that are too many do what the last one does.
  p.first = min(unit % head_units * teams + lane() / 8, groups - 1) * columns;
  const uint key_head =
      grouped != 0 ? p.head / (push.value_heads / push.key_heads) : p.head % push.key_heads;
  p.key_at = key_head * key_dim;
  p.decay_at = channel_decay != 0 ? p.head * key_dim : p.head;
  p.row = p.part * mine;
  p.width = min(32, value_dim - p.first / 32 * 32);
  p.block = p.head * (key_dim * value_dim) + p.first / 32 * 32 * key_dim + p.first % 32;

  // Row first - 1 stands for the state that comes in.
  int have = -2;
  const int last = real ? run.first + run.rows : run.first - 1;
  for (int row = run.first - 1; row < last; ++row) {
    const bool incoming = row < run.first;
    const int parent = incoming ? -1 : steps[row].STEP_PARENT;
    if (parent != have) load_state(p, run, parent);
    have = incoming ? -1 : row;
    if (!incoming) compute_row(p, row);
    if (!incoming) store_plane(p, steps[row].STEP_PLANE);
    if (run.base_after == row - run.first + 1) store_plane(p, run.base_plane);
  }
}

#endif
