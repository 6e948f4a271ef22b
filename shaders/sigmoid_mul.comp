// op/sigmoid_mul.hpp: y = x / (1 + e^-gate), one invocation per value.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/sigmoid_mul.h"

#include "common/grid.glsl"
#include "common/math.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Gate { float gate[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Y { float y[]; };

void main() {
  const uint i = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  if (i >= push.count) return;
  precise float result = x[i] * exact_sigmoid(gate[i]);
  y[i] = result;
}
