// op/confidence.hpp: one workgroup per row. Lane l adds values l, l + lanes, ... of h, then of e.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/confidence.h"

#include "common/grid.glsl"
#include "common/math.glsl"
#define REDUCE_COUNT 1
#include "common/reduce.glsl"

layout(std430, set = 0, binding = 0) readonly buffer H { float h[]; };
layout(std430, set = 0, binding = 1) readonly buffer E { float e[]; };
layout(std430, set = 0, binding = 2) readonly buffer Weight { float weight[]; };
layout(std430, set = 0, binding = 3) readonly buffer Bias { float bias[]; };
layout(std430, set = 0, binding = 4) writeonly buffer Y { float y[]; };

void main() {
  const uint row = linear_workgroup();
  if (row >= push.rows) return;
  precise float sum[1];
  sum[0] = 0.0;
  for (uint i = lane(); i < push.width; i += gl_WorkGroupSize.x)
    sum[0] = sum[0] + weight[i] * h[row * push.width + i];
  for (uint i = lane(); i < push.rank; i += gl_WorkGroupSize.x)
    sum[0] = sum[0] + weight[push.width + i] * e[row * push.rank + i];
  reduce_add(sum);
  if (lane() != 0) return;
  precise float total = sum[0];
  if (push.has_bias != 0) total = total + bias[0];
  y[row] = exact_sigmoid(total);
}
