// One workgroup makes `lane_outputs` outputs: lane l takes steps l, l + lanes, ... of their rows of
// the weight, so that neighbouring lanes read neighbouring memory, and the lanes' sums are added at
// the end. What a lane reads of x serves all its outputs.
const uint sums = lane_outputs * tile_rows;
#define REDUCE_COUNT sums
#include "common/reduce.glsl"

#ifdef WEIGHT_GAP
layout(std430, set = 0, binding = 0) readonly buffer X { vec4 x[]; };
float[4] x_load(uint row, uint first, uint i) {
  const vec4 held = x[(row * push.width + first + weight_behind(i)) / 4];
  return float[4](held.x, held.y, held.z, held.w);
}
#else
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
float[4] x_load(uint row, uint first, uint i) {
  float held[4];
  [[unroll]] for (uint j = 0; j < 4; ++j)
    held[j] = first + i + j < push.width ? x[row * push.width + first + i + j] : 0.0;
  return held;
}
#endif

void main() {
  const uint group_first = linear_workgroup() * lane_outputs;
  if (group_first >= push.outputs) return;
  const uint first_row = gl_WorkGroupID.z * tile_rows;

  precise float sum[sums];
  [[unroll]] for (uint p = 0; p < sums; ++p) sum[p] = 0.0;
  for (uint s = lane(); s < weight_steps(push.width); s += gl_WorkGroupSize.x) {
    const uint first = weight_first(s);
    precise float w[lane_outputs][WEIGHT_STEP];
    // Outputs and rows past the end repeat the last one and are not stored.
    [[unroll]] for (uint o = 0; o < lane_outputs; ++o)
      weight_load(min(group_first + o, push.outputs - 1) * WEIGHT_ROW_BYTES(push.width), first,
                  push.width, w[o]);
    [[unroll]] for (uint r = 0; r < tile_rows; ++r) {
      const uint row = min(first_row + r, push.rows - 1);
      precise float part[lane_outputs];
      [[unroll]] for (uint o = 0; o < lane_outputs; ++o) part[o] = 0.0;
      [[unroll]] for (uint i = 0; i < WEIGHT_STEP; i += 4) {
        const float held[4] = x_load(row, first, i);
        [[unroll]] for (uint j = 0; j < 4; ++j)
          [[unroll]] for (uint o = 0; o < lane_outputs; ++o)
            part[o] = part[o] + w[o][i + j] * held[j];
      }
      [[unroll]] for (uint o = 0; o < lane_outputs; ++o)
        sum[o * tile_rows + r] = sum[o * tile_rows + r] + part[o];
    }
  }
  reduce_add(sum);

  [[unroll]] for (uint o = 0; o < lane_outputs; ++o)
    [[unroll]] for (uint r = 0; r < tile_rows; ++r)
      if (lane() == (o * tile_rows + r) % gl_WorkGroupSize.x && group_first + o < push.outputs &&
          first_row + r < push.rows)
        store_result(first_row + r, group_first + o, sum[o * tile_rows + r]);
}
