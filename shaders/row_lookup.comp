// op/row_lookup.hpp: one invocation per step of values.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/row_lookup.h"

#include "common/grid.glsl"

layout(std430, set = 0, binding = 0) readonly buffer Token { uint token[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Y { float y[]; };

#define WEIGHT_BINDING 1
#include "common/block.glsl"

void main() {
  const uint steps = weight_steps(push.width);
  const uint at = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  const uint row = at / steps;
  if (row >= push.rows) return;
  const uint first = weight_first(at % steps);
  const uint index = token[row];  // a negative one is larger than any row
  const bool here = index - push.first < push.count;
  const bool nowhere = push.vocabulary != 0 && index >= push.vocabulary;
  if (!here && !nowhere) return;

  precise float value[WEIGHT_STEP];
  if (here)
    weight_load((index - push.first) * WEIGHT_ROW_BYTES(push.width), first, push.width, value);
  [[unroll]] for (uint i = 0; i < WEIGHT_STEP; ++i) {
    const uint column = first + weight_behind(i);
    if (column < push.width)
      y[row * push.width + column] = here ? value[i] : uintBitsToFloat(0x7FC00000u);
  }
}
