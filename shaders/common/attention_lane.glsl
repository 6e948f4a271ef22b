// One lane of attention: what it keeps of its queries and octets, what it does with a page and where
// results go. Arrays are indexed by constants once loops are unrolled, so that they are registers. (A
// global may not be `precise`: sums go through locals that are.)
#ifndef KEDGE_COMMON_ATTENTION_LANE
#define KEDGE_COMMON_ATTENTION_LANE

// A query as a lane meets it: where its row sees from, and to.
struct Query {
  uint row, head;
  int begin, end;
  bool real;
};

// While scores are made: [queries], [queries][8 positions].
Query asking[queries];
float s[queries * 8];
// While values are added: [value_queries], [value_queries][lane_octets][8 dimensions].
Query taking[value_queries];
float m[value_queries];
float l[value_queries];
float o[value_queries * lane_octets * 8];
#define AT(query, k, x) (((query) * lane_octets + (k)) * 8 + (x))
// whole: what the splits so far come to.
float total_m[value_queries];
float total_l[value_queries];
float total[value_queries * lane_octets * 8];

uint first_page;  // the first that any row of the tile sees

#if KEDGE_SUBGROUP
uint lane() { return gl_SubgroupInvocationID; }
void meet() { subgroupMemoryBarrierShared(); }  // one subgroup: only memory is left to wait for
#else
uint lane() { return gl_LocalInvocationIndex; }
void meet() { barrier(); }
float asking_m[queries];
shared float shared_m[wg_queries * 8];
#endif
// Weights of a page; before that, scores of a branch.
shared float shared_p[wg_queries * page_positions];

uint octet() { return groups == 1 ? lane() : lane() % 8; }
uint asking_group() { return groups == 1 ? 0 : lane() / 8; }
const uint value_lanes = value_groups == 1 ? lanes : octets;
uint value_group() { return value_groups == 1 ? 0 : lane() / value_lanes; }
uint value_octet_of(uint k) {
  return (value_groups == 1 ? lane() : lane() % value_lanes) + k * lanes;
}

Query query_of(ivec4 tile, uint kv_head, uint index) {
  const uint count = uint(tile.y) * push.group;
  Query result;
  result.real = index < count;
  const uint at = result.real ? index : count - min(count, 1u);  // a real one all the same
  result.row = uint(tile.x) + at / push.group;
  result.head = kv_head * push.group + at % push.group;
  const int last = position[result.row];
  result.begin = bounded != 0 ? min(first[result.row], last) : 0;
  result.end = last + 1;
  return result;
}
uint q_of(Query query) {
  return (query.row * push.kv_heads * push.group + query.head) * head_dim;
}

void begin_queries(ivec4 tile, uint kv_head, uint chunk) {
  const uint from = chunk * wg_queries;
  [[unroll]] for (uint r = 0; r < queries; ++r)
    asking[r] = query_of(tile, kv_head, from + asking_group() * queries + r);
  [[unroll]] for (uint t = 0; t < value_queries; ++t) {
    const uint index = value_group() * value_queries + t;
    taking[t] = query_of(tile, kv_head, from + index);
    taking[t].real = taking[t].real && index < wg_queries;
  }
  first_page = 0;
  if (bounded != 0) {
    int begin = 0x7FFFFFFF;
    for (int i = 0; i < tile.y; ++i)
      begin = min(begin, min(first[tile.x + i], position[tile.x + i]));
    first_page = uint(begin) / page_positions;
  }
}

void begin_split() {
  [[unroll]] for (uint t = 0; t < value_queries; ++t) {
    m[t] = nothing_seen;
    l[t] = 0.0;
    [[unroll]] for (uint i = 0; i < lane_octets * 8; ++i) o[t * lane_octets * 8 + i] = 0.0;
  }
#if !KEDGE_SUBGROUP
  [[unroll]] for (uint r = 0; r < queries; ++r) asking_m[r] = nothing_seen;
#endif
}

uint block_of(ivec4 tile, uint kv_head, uint page) {
  return uint(pages[uint(tile.z) * push.max_pages + page]) * push.page_stride +
         kv_head * push.head_stride;
}

// Adds `count` dimensions, at most 8, from d on to the scores.
void score_dims(uint block, uint d, uint count) {
#if KEDGE_SUBGROUP
  float part[queries];  // lane i has dimension d + i
  [[unroll]] for (uint r = 0; r < queries; ++r) part[r] = q[q_of(asking[r]) + d + lane() % count];
#endif
  for (uint i = 0; i < count; ++i) {
    float k[8];
    key_octet(block, d + i, octet(), k);
    [[unroll]] for (uint r = 0; r < queries; ++r) {
#if KEDGE_SUBGROUP
      const float factor = subgroupShuffle(part[r], i);
#else
      const float factor = q[q_of(asking[r]) + d + i];
#endif
      [[unroll]] for (uint x = 0; x < 8; ++x) {
        precise float sum = s[r * 8 + x] + factor * k[x];
        s[r * 8 + x] = sum;
      }
    }
  }
}

// Trees: the slot that holds position `at` of a row's branch.
uint slot_of(uint row, int at) {
  while (position[row] > at) row = uint(parent[row]);
  return uint(slot[row]);
}

// Scores of the positions from `base` on, which are in the slots of the row's ancestors.
void score_branch(ivec4 tile, uint kv_head, int from, int base) {
  [[unroll]] for (uint r = 0; r < queries; ++r) {
    const int end = min(asking[r].end, from + int(page_positions));
    for (int j = max(base, from) + int(octet()); j < end; j += 8) {
      const uint at = slot_of(asking[r].row, j);
      const uint block = block_of(tile, kv_head, at / page_positions);
      precise float sum = 0.0;
      for (uint d = 0; d < head_dim; ++d)
        sum = sum + q[q_of(asking[r]) + d] * key_at(block, d, at % page_positions);
      shared_p[(asking_group() * queries + r) * page_positions + uint(j - from)] = sum;
    }
  }
  meet();
}

bool sees(uint r, int at) { return at >= asking[r].begin && at < asking[r].end; }

// Scores become weights, -1 where nothing is seen; what was added so far is rescaled.
void weigh_page(int from, int base) {
  const int mine = from + int(8 * octet());
  float largest[queries];
  [[unroll]] for (uint r = 0; r < queries; ++r) {
    const uint row = (asking_group() * queries + r) * page_positions;
    float most = nothing_seen;
    [[unroll]] for (uint x = 0; x < 8; ++x) {
      float sum = s[r * 8 + x];
      if (trees != 0 && mine + int(x) >= base && sees(r, mine + int(x)))
        sum = shared_p[row + 8 * octet() + x];
      precise float scaled = sum * push.scale;
      s[r * 8 + x] = sees(r, mine + int(x)) ? scaled : nothing_seen;
      most = max(most, s[r * 8 + x]);
    }
#if KEDGE_SUBGROUP
    [[unroll]] for (uint bit = 1; bit < 8; bit *= 2) most = max(most, subgroupShuffleXor(most, bit));
#else
    shared_m[(asking_group() * queries + r) * 8 + octet()] = most;
#endif
    largest[r] = most;
  }
#if !KEDGE_SUBGROUP
  barrier();
#endif
  [[unroll]] for (uint r = 0; r < queries; ++r) {
    const uint query = asking_group() * queries + r;
#if KEDGE_SUBGROUP
    const float next = max(m[r], largest[r]);
#else
    float next = asking_m[r];
    [[unroll]] for (uint i = 0; i < 8; ++i) next = max(next, shared_m[query * 8 + i]);
    asking_m[r] = next;
#endif
    [[unroll]] for (uint x = 0; x < 8; ++x) {
      precise float below = s[r * 8 + x] - next;
      s[r * 8 + x] = sees(r, mine + int(x)) ? exact_exp(below) : -1.0;
      shared_p[query * page_positions + 8 * octet() + x] = s[r * 8 + x];
    }
  }
  meet();
  [[unroll]] for (uint t = 0; t < value_queries; ++t) {
    float next = m[t];
#if KEDGE_SUBGROUP
    next = max(next, largest[t]);
#else
    const uint query = min(value_group() * value_queries + t, wg_queries - 1);
    [[unroll]] for (uint i = 0; i < 8; ++i) next = max(next, shared_m[query * 8 + i]);
#endif
    precise float below = m[t] - next;
    const float a = exact_exp(below);
    m[t] = next;
    precise float less = l[t] * a;
    l[t] = less;
    [[unroll]] for (uint i = t * lane_octets * 8; i < (t + 1) * lane_octets * 8; ++i) {
      less = o[i] * a;
      o[i] = less;
    }
  }
}

// Adds one position, with its weight, to a query.
void add_value(uint t, uint k, float p, bool seen, float v[8]) {
  if (k == 0) {
    precise float sum = l[t] + p;
    l[t] = seen ? sum : l[t];
  }
  [[unroll]] for (uint x = 0; x < 8; ++x) {
    precise float sum = o[AT(t, k, x)] + p * v[x];
    o[AT(t, k, x)] = seen ? sum : o[AT(t, k, x)];
  }
}

uint shared_row(uint t) {
  return min(value_group() * value_queries + t, wg_queries - 1) * page_positions;
}

void add_values(uint block, int from, int end, int base) {
  for (uint eight = 0; int(eight) < end - from; eight += 8) {
#if KEDGE_SUBGROUP
    float part[value_queries];  // lane i has position eight + i
    [[unroll]] for (uint t = 0; t < value_queries; ++t)
      part[t] = shared_p[shared_row(t) + eight + lane()];
#endif
    for (uint i = 0; i < 8; ++i) {
      const uint j = eight + i;
      float p[value_queries];
      [[unroll]] for (uint t = 0; t < value_queries; ++t)
#if KEDGE_SUBGROUP
        p[t] = subgroupShuffle(part[t], i);
#else
        p[t] = shared_p[shared_row(t) + j];
#endif
      [[unroll]] for (uint k = 0; k < lane_octets; ++k) {
        float v[8];
        value_octet(block, j, min(value_octet_of(k), octets - 1), v);
        [[unroll]] for (uint t = 0; t < value_queries; ++t)
          add_value(t, k, p[t], !(p[t] < 0.0) && (trees == 0 || from + int(j) < base), v);
      }
    }
  }
}

void add_branch(ivec4 tile, uint kv_head, int from, int end, int base) {
  for (int j = max(base, from); j < end; ++j)
    [[unroll]] for (uint t = 0; t < value_queries; ++t) {
      const float p = shared_p[shared_row(t) + uint(j - from)];
      const bool seen = !(p < 0.0) && j < taking[t].end;
      const uint at = seen ? slot_of(taking[t].row, j) : 0;
      const uint block = block_of(tile, kv_head, at / page_positions);
      [[unroll]] for (uint k = 0; k < lane_octets; ++k) {
        float v[8];
        value_octet(block, at % page_positions, min(value_octet_of(k), octets - 1), v);
        add_value(t, k, p, seen, v);
      }
    }
}

// `base`: the first position that is not committed, where rows are stored elsewhere.
void read_page(ivec4 tile, uint kv_head, uint page, int base) {
  const uint block = block_of(tile, kv_head, page);
  const int from = int(page * page_positions);
  const int end = min(from + int(page_positions), tile.w);
  [[unroll]] for (uint i = 0; i < queries * 8; ++i) s[i] = 0.0;
  for (uint d = 0; d + 8 <= head_dim; d += 8) score_dims(block, d, 8);
  if (head_dim % 8 != 0) score_dims(block, head_dim - 4, 4);
  if (trees != 0) score_branch(tile, kv_head, from, base);
  weigh_page(from, base);
  add_values(block, from, end, base);
  if (trees != 0) add_branch(tile, kv_head, from, end, base);
  meet();
}

bool split_seen(uint t, uint split) {
  return taking[t].real && int(first_page_of(split) * page_positions) < taking[t].end;
}

void fold_split(uint split) {
  [[unroll]] for (uint t = 0; t < value_queries; ++t) {
    const bool seen = split_seen(t, split), fresh = split == 0;
    const Weights w = weights_of(total_m[t], m[t]);
    total_l[t] = fresh ? l[t] : seen ? weigh(total_l[t], l[t], w) : total_l[t];
    [[unroll]] for (uint i = t * lane_octets * 8; i < (t + 1) * lane_octets * 8; ++i)
      total[i] = fresh ? o[i] : seen ? weigh(total[i], o[i], w) : total[i];
    total_m[t] = fresh ? m[t] : seen ? max(total_m[t], m[t]) : total_m[t];
  }
}

void write_split(uint split) {
  [[unroll]] for (uint t = 0; t < value_queries; ++t) {
    if (!split_seen(t, split)) continue;
    const uint at = record_of(taking[t].row, taking[t].head, split);
    [[unroll]] for (uint k = 0; k < lane_octets; ++k) {
      const uint octet = value_octet_of(k);
      if (octet >= octets) continue;
      if (octet == 0) scratch[at + value_width / 4] = vec4(m[t], l[t], 0.0, 0.0);
      [[unroll]] for (uint i = 0; i < 2; ++i)
        scratch[at + 2 * octet + i] = vec4(o[AT(t, k, 4 * i)], o[AT(t, k, 4 * i + 1)],
                                           o[AT(t, k, 4 * i + 2)], o[AT(t, k, 4 * i + 3)]);
    }
  }
}

void write_rows() {
  [[unroll]] for (uint t = 0; t < value_queries; ++t) {
    if (!taking[t].real) continue;
    [[unroll]] for (uint k = 0; k < lane_octets; ++k)
      [[unroll]] for (uint i = 0; i < 2; ++i) {
        const uint at = 2 * value_octet_of(k) + i;
        if (at >= head_dim / 4) continue;
        const uint from = AT(t, k, 4 * i);
        precise vec4 result =
            vec4(total[from], total[from + 1], total[from + 2], total[from + 3]) / total_l[t];
        y[q_of(taking[t]) / 4 + at] = result;
      }
  }
}

#endif
