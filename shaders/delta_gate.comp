// op/delta_gate.hpp: one invocation per value of a, then of b.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/delta_gate.h"

#include "common/grid.glsl"
#include "common/math.glsl"

layout(std430, set = 0, binding = 0) readonly buffer A { float a[]; };
layout(std430, set = 0, binding = 1) readonly buffer B { float b[]; };  // beta may be b
layout(std430, set = 0, binding = 2) readonly buffer Scale { float a_scale[]; };
layout(std430, set = 0, binding = 3) readonly buffer Bias { float dt_bias[]; };
layout(std430, set = 0, binding = 4) writeonly buffer Decay { float decay[]; };
layout(std430, set = 0, binding = 5) writeonly buffer Beta { float beta[]; };

void main() {
  const uint width = push.heads * push.channels, values = push.rows * width;
  const uint i = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  if (i < values) {
    const uint column = i % width;
    precise float x = a[i] + dt_bias[column];
    const float scale = a_scale[column / push.channels];
    precise float scaled = scale * x;
    precise float result = push.lower_bound < 0.0 ? push.lower_bound * exact_sigmoid(-scaled)
                                                  : scale * exact_softplus(x);
    decay[i] = result;
  } else if (i - values < push.rows * push.heads) {
    beta[i - values] = exact_sigmoid(b[i - values]);
  }
}
