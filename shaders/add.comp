// op/add.hpp: y = a + b, one invocation per value.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/add.h"

#include "common/grid.glsl"

layout(std430, set = 0, binding = 0) readonly buffer A { float a[]; };
layout(std430, set = 0, binding = 1) readonly buffer B { float b[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Y { float y[]; };

void main() {
  const uint i = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  if (i >= push.count) return;
  precise float sum = a[i] + b[i];
  y[i] = sum;
}
