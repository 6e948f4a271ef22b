// op/markov_bias.hpp: one invocation per value of z; the rnn's state is written on the way.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/markov_bias.h"

#include "common/grid.glsl"
#include "common/math.glsl"

layout(std430, set = 0, binding = 0) readonly buffer E { float e[]; };
layout(std430, set = 0, binding = 1) readonly buffer Projection { float projection[]; };
layout(std430, set = 0, binding = 2) buffer State { float state[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Z { float z[]; };

void main() {
  const uint i = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  if (i >= push.count) return;
  if (head == 0) {
    z[i] = e[i];
  } else if (head == 1) {
    precise float gated = exact_sigmoid(projection[i]) * e[i];
    z[i] = gated;
  } else {
    const uint at = i / push.rank * 3 * push.rank + i % push.rank;
    const float gate = exact_sigmoid(projection[at]);
    const float candidate = exact_tanh(projection[at + push.rank]);
    precise float kept = gate * state[i];
    precise float taken = (1.0 - gate) * candidate;
    precise float sum = kept + taken;
    state[i] = sum;
    z[i] = exact_tanh(projection[at + 2 * push.rank]);
  }
}
