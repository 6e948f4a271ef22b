// op/place_columns.hpp: one invocation per value, as bits.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/place_columns.h"

#include "common/grid.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { uint y[]; };

void main() {
  const uint i = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  const uint row = i / push.width;
  if (row < push.rows) y[row * push.stride + push.first + i % push.width] = x[i];
}
