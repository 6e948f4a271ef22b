#version 460
#extension GL_GOOGLE_include_directive : require
#include "clip_abi.h"

#include "common/grid.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { float y[]; };

void main() {
  const uint i = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  if (i >= push.count) return;
  y[i] = x[i] < push.low ? push.low : x[i] > push.high ? push.high : x[i];
}
