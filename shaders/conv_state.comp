// op/conv_state.hpp: one invocation per (row, channel); `keep` stores columns instead.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "kedge/abi/conv_state.h"

#include "common/grid.glsl"
#include "common/math.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Weight { float weight[]; };
layout(std430, set = 0, binding = 2) readonly buffer Bias { float bias[]; };
layout(std430, set = 0, binding = 3) readonly buffer Runs { int runs[]; };
layout(std430, set = 0, binding = 4) readonly buffer Steps { ivec4 steps[]; };
layout(std430, set = 0, binding = 5) buffer Window { float window[]; };
layout(std430, set = 0, binding = 6) writeonly buffer Y { float y[]; };

#include "common/recurrent.glsl"

void main() {
  const uint item = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  const uint row = item / push.channels, channel = item % push.channels;
  if (row >= push.rows) return;
  if (keep != 0) {
    const int slot = steps[row].STEP_COLUMN;
    if (slot >= 0) window[uint(slot) * push.channels + channel] = x[item];
    return;
  }
  int index = 0;
  while (index + 1 < run_count() && runs[12 * (2 + index)] <= int(row)) ++index;
  const Run run = run_at(index);

  // From the newest column backwards, then summed from the oldest on.
  float value[taps];
  int at = int(row), back = 0;
  uint real = 0;
  [[unroll]] for (uint t = 0; t < taps; ++t) {
    value[t] = 0.0;
    if (at >= 0) {
      value[t] = x[uint(at) * push.channels + channel];
      at = steps[at].STEP_PARENT;
      ++real;
    } else if (back < run.columns) {
      const int slot = ring_slot(run.column, -back, int(push.window_slots));
      value[t] = window[uint(slot) * push.channels + channel];
      ++back;
      ++real;
    }
  }
  precise float sum = has_bias != 0 ? bias[channel] : 0.0;
  [[unroll]] for (uint t = 0; t < taps; ++t) {
    precise float next = sum + value[taps - 1 - t] * weight[t * push.channels + channel];
    sum = taps - 1 - t < real ? next : sum;
  }
  precise float result = sum / (1.0 + exact_exp(-sum));
  y[item] = result;
}
