// op/argmax.hpp in integers (common/order.glsl). A NaN is above everything, so it wins its chunk and
// then its row, and is turned into index -1 there. The result does not depend on how the entries are
// shared out, so the workgroup's width is free.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/argmax.h"

#include "common/grid.glsl"
#include "common/order.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Index { int index[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Value { uint value[]; };
layout(std430, set = 0, binding = 3) buffer ChunkIndex { uint chunk_index[]; };
layout(std430, set = 0, binding = 4) buffer ChunkValue { uint chunk_value[]; };

shared uvec2 found[gl_WorkGroupSize.x];

void main() {
  const uint unit = linear_workgroup();
  const uint per_row = of_chunks != 0 ? 1 : push.chunks;
  if (unit >= push.rows * per_row) return;
  const uint row = unit / per_row, first = unit % per_row * push.chunk;
  const uint count = of_chunks != 0 ? push.chunks : min(push.chunk, push.width - first);

  uvec2 best = uvec2(0);  // below every float
  best.y = 0xFFFFFFFFu;
  for (uint i = gl_LocalInvocationIndex; i < count; i += gl_WorkGroupSize.x) {
    const uint at = row * push.chunks + i;
    const uvec2 entry = of_chunks != 0
                            ? uvec2(order_key(chunk_value[at]), chunk_index[at])
                            : uvec2(order_key(x[row * push.width + first + i]), first + i);
    if (order_before(entry, best)) best = entry;
  }
  found[gl_LocalInvocationIndex] = best;
  for (uint half_width = gl_WorkGroupSize.x / 2; half_width > 0; half_width /= 2) {
    barrier();
    if (gl_LocalInvocationIndex < half_width) {
      const uvec2 other = found[gl_LocalInvocationIndex + half_width];
      if (order_before(other, best)) best = other;
      found[gl_LocalInvocationIndex] = best;
    }
  }
  if (gl_LocalInvocationIndex != 0) return;
  best = found[0];
  const bool nan = best.x == order_nan;
  const uint bits = nan ? 0x7FC00000u : x[row * push.width + best.y];
  if (of_chunks != 0) {
    index[row] = nan ? -1 : int(best.y);
    value[row] = bits;
  } else {
    chunk_index[unit] = best.y;
    chunk_value[unit] = bits;
  }
}
