// op/top_k.hpp in integers. An entry is 64 bits, the key of its value (common/order.glsl) above its
// inverted index, so that no two are equal and the larger one comes first. The k-th largest is found
// from the top, eight bits at a time, by counting the entries that share the bits found so far
// (radix selection); what is not below it is collected and, in the second dispatch, sorted. The
// result does not depend on the workgroup's width.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/top_k.h"

#include "common/grid.glsl"
#include "common/order.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Index { int index[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Value { uint value[]; };
layout(std430, set = 0, binding = 3) buffer Scratch { uint scratch[]; };

shared uint tally[256];
shared uvec2 found[KEDGE_TOP_K_MOST];
shared uvec2 least;   // the k-th largest entry, as far as it is known
shared uint missing;  // entries still to be taken among those that share its known bits
shared bool known;
shared uint taken;

uint row, first;  // of the entries: chunk's first value, or 0

uvec2 entry(uint i) {
  const uint at = 2 * (row * push.chunks * push.k + i);
  return of_chunks != 0 ? uvec2(scratch[at], scratch[at + 1])
                        : uvec2(order_key(x[row * push.width + first + i]), ~(first + i));
}

bool shares(uvec2 e, uint digit) {
  if (digit == 0) return true;
  if (digit <= 4) return (e.x ^ least.x) >> (32 - 8 * digit) == 0;
  return e.x == least.x && (e.y ^ least.y) >> (64 - 8 * digit) == 0;
}

bool below(uvec2 a, uvec2 b) { return a.x < b.x || (a.x == b.x && a.y < b.y); }

void find_least(uint count) {
  const uint me = gl_LocalInvocationIndex;
  if (me == 0) {
    least = uvec2(0);
    missing = push.k;
    known = count <= push.k;  // all of them
  }
  for (uint digit = 0; digit < 8; ++digit) {
    barrier();
    if (known) break;
    for (uint i = me; i < 256; i += gl_WorkGroupSize.x) tally[i] = 0;
    barrier();
    const uint shift = 24 - 8 * (digit % 4);
    for (uint i = me; i < count; i += gl_WorkGroupSize.x) {
      const uvec2 e = entry(i);
      if (shares(e, digit)) atomicAdd(tally[(digit < 4 ? e.x : e.y) >> shift & 255u], 1);
    }
    barrier();
    if (me == 0) {
      uint bin = 255;
      while (tally[bin] < missing) missing -= tally[bin--];
      if (digit < 4) least.x |= bin << shift;
      else least.y |= bin << shift;
      known = tally[bin] == missing;
    }
  }
  barrier();
}

// Descending; `size` is a power of two. Bitonic sort.
void sort_found(uint size) {
  for (uint span = 2; span <= size; span *= 2)
    for (uint gap = span / 2; gap > 0; gap /= 2) {
      barrier();
      for (uint i = gl_LocalInvocationIndex; i < size / 2; i += gl_WorkGroupSize.x) {
        const uint a = i / gap * 2 * gap + i % gap, b = a + gap;
        const bool descending = (a & span) == 0;
        if (below(found[a], found[b]) == descending) {
          const uvec2 kept = found[a];
          found[a] = found[b];
          found[b] = kept;
        }
      }
    }
  barrier();
}

void main() {
  const uint me = gl_LocalInvocationIndex;
  const uint unit = linear_workgroup();
  const uint per_row = of_chunks != 0 ? 1 : push.chunks;
  if (unit >= push.rows * per_row) return;
  row = unit / per_row;
  first = unit % per_row * push.chunk;
  const uint count =
      of_chunks != 0 ? push.chunks * push.k : min(push.chunk, push.width - first);

  for (uint i = me; i < KEDGE_TOP_K_MOST; i += gl_WorkGroupSize.x) found[i] = uvec2(0);
  if (me == 0) taken = 0;
  find_least(count);
  for (uint i = me; i < count; i += gl_WorkGroupSize.x) {
    const uvec2 e = entry(i);
    if (!below(e, least)) found[atomicAdd(taken, 1)] = e;
  }
  if (of_chunks == 0) {
    barrier();
    // Places that a short chunk does not fill hold 0, which is below every entry.
    for (uint i = me; i < push.k; i += gl_WorkGroupSize.x) {
      scratch[2 * (unit * push.k + i)] = found[i].x;
      scratch[2 * (unit * push.k + i) + 1] = found[i].y;
    }
    return;
  }
  uint size = 1;
  while (size < push.k) size *= 2;
  sort_found(size);
  const bool nan = found[0].x == order_nan;
  for (uint i = me; i < push.k; i += gl_WorkGroupSize.x) {
    const uint at = ~found[i].y;
    index[row * push.k + i] = nan ? -1 : int(at);
    value[row * push.k + i] = nan ? 0x7FC00000u : x[row * push.width + at];
  }
}
