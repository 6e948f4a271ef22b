// op/attention.hpp and op/bounded_attention.hpp. Plan: a workgroup takes up to lanes / 8 * `queries`
// queries (a query is a row and a head; the heads of a group side by side) through the pages of its
// splits. Per page of 64 positions
//   1. scores: a lane has an octet of positions and `queries` queries; the keys that it loads serve
//      all of them. s = chain over d ascending of q[d] k[d], then * scale
//   2. weights: m = max(m, largest score), p = exp(s - m)
//   3. values: a lane has an octet of dimensions; o and l are rescaled by exp(m before - m), then go
//      on as chains over positions ascending of p v and p
// Every number is one chain in one lane and a maximum has no order, so bytes depend neither on lanes,
// chunks nor on what other queries there are. What a query does not see is selected away, never
// multiplied. The end of a split begins new chains; splits fold in ascending order.
//
// The subgroup build is for workgroups of 8 lanes that are one subgroup: there are no barriers, and
// what all lanes need is loaded once. The shared build takes any multiple of 8 lanes.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "kedge/abi/attention.h"

#include "common/grid.glsl"
#include "common/math.glsl"

layout(std430, set = 0, binding = 0) readonly buffer Q { float q[]; };
layout(std430, set = 0, binding = 1) readonly buffer Position { int position[]; };
layout(std430, set = 0, binding = 2) readonly buffer Sequence { int sequence[]; };
layout(std430, set = 0, binding = 3) readonly buffer Pages { int pages[]; };
layout(std430, set = 0, binding = 5) readonly buffer Tiles { ivec4 tiles[]; };
layout(std430, set = 0, binding = 6) buffer Scratch { vec4 scratch[]; };
layout(std430, set = 0, binding = 7) writeonly buffer Y { vec4 y[]; };
layout(std430, set = 0, binding = 8) readonly buffer Slot { int slot[]; };
layout(std430, set = 0, binding = 9) readonly buffer Parent { int parent[]; };
layout(std430, set = 0, binding = 10) readonly buffer First { int first[]; };

#define CACHE_BINDING 4
#include "common/cache.glsl"
#include "common/attention_fold.glsl"

// In vec4: o, then {m, l, unused, unused}.
uint record_of(uint row, uint head, uint split) {
  return ((row * push.kv_heads * push.group + head) * push.splits + split) * (value_width / 4 + 8);
}

#if KEDGE_FOLD

// One workgroup per (row, head), four dimensions to a lane.
void main() {
  const uint heads = push.kv_heads * push.group;
  const uint unit = linear_workgroup(), row = unit / heads, head = unit % heads;
  if (row >= push.rows) return;
  const uint splits = splits_of(uint(position[row]) + 1), record = record_of(row, head, 0);
  for (uint i = gl_LocalInvocationIndex; i < head_dim / 4; i += gl_WorkGroupSize.x) {
    precise vec4 o = scratch[record + i];
    vec2 ml = scratch[record + value_width / 4].xy;
    for (uint split = 1; split < splits; ++split) {
      const uint at = record + split * (value_width / 4 + 8);
      const vec4 o2 = scratch[at + i];
      const vec2 ml2 = scratch[at + value_width / 4].xy;
      const Weights w = weights_of(ml.x, ml2.x);
      for (uint x = 0; x < 4; ++x) o[x] = weigh(o[x], o2[x], w);
      ml = vec2(max(ml.x, ml2.x), weigh(ml.y, ml2.y, w));
    }
    precise vec4 result = o / ml.y;
    y[unit * (head_dim / 4) + i] = result;
  }
}

#else

#if KEDGE_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
const uint lanes = 8;
#else
const uint lanes = gl_WorkGroupSize.x;
#endif
const uint octets = value_width / 8;
const uint groups = lanes / 8;  // of queries, while scores are made
const uint wg_queries = groups * queries;
// Lanes are spread over the octets while values are added, and those that are left over the queries.
const uint lane_octets = (octets + lanes - 1) / lanes;
#if KEDGE_SUBGROUP
const uint value_groups = 1;
#else
const uint spare = lanes / octets;
const uint value_groups = spare == 0 ? 1 : spare;
#endif
const uint value_queries = (wg_queries + value_groups - 1) / value_groups;

#include "common/attention_lane.glsl"

void main() {
  uint unit = linear_workgroup();
  const uint chunk = unit % push.chunks;
  unit /= push.chunks;
  const uint split_group = unit % push.split_groups, kv_head = unit / push.split_groups;
  // The grid has room for the most tiles that the rows may have.
  const bool real = kv_head < push.kv_heads && gl_WorkGroupID.z < uint(tiles[0].x);
  const ivec4 tile = real ? tiles[1 + gl_WorkGroupID.z] : ivec4(0);
  const bool busy = real && chunk * wg_queries < uint(tile.y) * push.group;
  begin_queries(tile, kv_head, chunk);

  int base = 0x7FFFFF00;  // beyond every position, with room for what is added to it
  if (trees != 0 && tiles[0].z != 0) {
    uint root = uint(tile.x);
    while (parent[root] >= 0) root = uint(parent[root]);
    base = position[root];
  }
  const uint page_end = (uint(tile.w) + page_positions - 1) / page_positions;
  const uint split_end = busy ? splits_of(uint(tile.w)) : 0;
  for (uint split = split_group; split < split_end; split += push.split_groups) {
    begin_split();
    const uint last = min(first_page_of(split + 1), page_end);
    for (uint page = max(first_page_of(split), first_page); page < last; ++page)
      read_page(tile, kv_head, page, base);
    if (whole != 0) fold_split(split);
    else write_split(split);
  }
  if (whole != 0 && split_end != 0) write_rows();
}

#endif
