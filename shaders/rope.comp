// op/rope.hpp: one invocation per pair of a head, and per value behind the pairs.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/rope.h"

#include "common/grid.glsl"

// y may be x: what an invocation reads, no other one writes.
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Table { float table[]; };
layout(std430, set = 0, binding = 2) readonly buffer Position { int position[]; };
layout(std430, set = 0, binding = 3) buffer Y { float y[]; };

// op::Rope::stream
uint stream(uint i) {
  if (streams == 1) return 0;
  const uint third = i % 3;
  return third == 1 && i < 3 * push.section_height  ? 1
         : third == 2 && i < 3 * push.section_width ? 2
                                                    : 0;
}

void main() {
  const uint half_dims = push.rotary_dims / 2, items = push.head_dim - half_dims;
  const uint item = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  const uint head = item / items, i = item - head * items;
  if (head >= push.heads) return;
  const uint first = head * push.head_dim;
  if (i >= half_dims) {
    y[first + half_dims + i] = x[first + half_dims + i];
    return;
  }
  const uint at = uint(position[head / push.row_heads * streams + stream(i)]) * push.rotary_dims;
  const float c = table[at + i], s = table[at + half_dims + i];
  const uint a = first + (interleaved != 0 ? 2 * i : i);
  const uint b = interleaved != 0 ? a + 1 : a + half_dims;
  const float x0 = x[a], x1 = x[b];
  precise float y0 = x0 * c - x1 * s;
  precise float y1 = x1 * c + x0 * s;
  y[a] = y0;
  y[b] = y1;
}
