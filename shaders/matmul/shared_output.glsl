// One workgroup makes one output: lane l takes steps l, l + lanes, ... of the row of the weight, so
// that neighbouring lanes read neighbouring memory, and the lanes' sums are added at the end.
#define REDUCE_COUNT tile_rows
#include "common/reduce.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };

void main() {
  const uint bound_output = linear_workgroup();
  if (bound_output >= push.outputs) return;
  const uint first_row = gl_WorkGroupID.z * tile_rows;
  const uint weight_row = bound_output * WEIGHT_ROW_BYTES(push.width);

  precise float sum[tile_rows];
  [[unroll]] for (uint r = 0; r < tile_rows; ++r) sum[r] = 0.0;
  for (uint s = lane(); s < weight_steps(push.width); s += gl_WorkGroupSize.x) {
    precise float w[WEIGHT_STEP];
    const uint first = weight_first(s);
    weight_load(weight_row, first, push.width, w);
    [[unroll]] for (uint r = 0; r < tile_rows; ++r) {
      // Rows past the end repeat the last one; their sums are not stored.
      const uint at = min(first_row + r, push.rows - 1) * push.width;
      precise float part = 0.0;
      [[unroll]] for (uint i = 0; i < WEIGHT_STEP; ++i) {
        const uint k = first + weight_behind(i);
#ifdef WEIGHT_GAP
        part = part + w[i] * x[at + k];
#else
        part = part + w[i] * (k < push.width ? x[at + k] : 0.0);
#endif
      }
      sum[r] = sum[r] + part;
    }
  }
  reduce_add(sum);

  [[unroll]] for (uint r = 0; r < tile_rows; ++r)
    if (lane() == r % gl_WorkGroupSize.x && first_row + r < push.rows)
      store_result(first_row + r, bound_output, sum[r]);
}
