// op/silu_mul.hpp: y = gate / (1 + e^-gate) * up, one invocation per value.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/silu_mul.h"

#include "common/grid.glsl"
#include "common/math.glsl"

layout(std430, set = 0, binding = 0) readonly buffer Gate { float gate[]; };
layout(std430, set = 0, binding = 1) readonly buffer Up { float up[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Y { float y[]; };

void main() {
  const uint i = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  if (i >= push.count) return;
  const float g = gate[i];
  precise float silu = g / (1.0 + exact_exp(-g));
  precise float result = silu * up[i];
  y[i] = result;
}
