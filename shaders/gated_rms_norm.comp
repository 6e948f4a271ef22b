// op/gated_rms_norm.hpp: one workgroup per part of a row. y may be x or z: a lane reads what it
// writes, and nothing of it again.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/gated_rms_norm.h"

#include "common/grid.glsl"
#include "common/math.glsl"
#define REDUCE_COUNT 1
#include "common/reduce.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Z { float z[]; };
layout(std430, set = 0, binding = 2) readonly buffer Weight { float weight[]; };
layout(std430, set = 0, binding = 3) buffer Y { float y[]; };

void main() {
  const uint part = linear_workgroup();
  if (part >= push.parts) return;
  const uint first = part * push.width;

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
    const float gate = z[first + i];
    precise float open = (by_sigmoid != 0 ? 1.0 : gate) / (1.0 + exact_exp(-gate));
    precise float normal = x[first + i] * scale;
    precise float weighted = normal * weight[i];
    precise float result = weighted * open;
    y[first + i] = result;
  }
}
