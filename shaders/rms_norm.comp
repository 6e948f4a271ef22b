// op/rms_norm.hpp: one workgroup per row.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/rms_norm.h"

#include "common/grid.glsl"
#define REDUCE_COUNT 1
#include "common/reduce.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Weight { float weight[]; };
layout(std430, set = 0, binding = 2) writeonly buffer Y { float y[]; };

void main() {
  const uint row = linear_workgroup();
  if (row >= push.rows) return;
  const uint first = row * push.width;

  precise float sum[1];
  sum[0] = 0.0;
  for (uint i = lane(); i < push.width; i += gl_WorkGroupSize.x) {
    const float v = x[first + i];
    sum[0] = sum[0] + v * v;
  }
  reduce_add(sum);

  precise float mean = sum[0] / float(push.width);
  precise float scale = 1.0 / sqrt(mean + push.eps);
  for (uint i = lane(); i < push.width; i += gl_WorkGroupSize.x) {
    precise float scaled = x[first + i] * scale;
    precise float result = scaled * weight[i];
    y[first + i] = result;
  }
}
