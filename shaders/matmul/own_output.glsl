// For devices of eight lanes (Mesa's software one), where a load costs a lane as much as dozens of
// operations and a shuffle by a constant next to nothing: each lane makes `lane_outputs` outputs, so
// it decodes its own weights, and the eight lanes fetch a step of x together and pass it round.
// Nothing is added across lanes. KEDGE_SUBGROUP=0: every lane fetches all of x; the same bytes.
#define LANES 8

#if KEDGE_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
uint lane() { return gl_SubgroupInvocationID; }
#else
uint lane() { return gl_LocalInvocationIndex; }
#endif

// What a lane holds of a step of x: four values of a block's 32, or one of eight floats.
#ifdef WEIGHT_GAP
layout(std430, set = 0, binding = 0) readonly buffer X { vec4 x[]; };
#define X_HELD vec4
X_HELD x_load(uint row, uint first, uint l) {
  return x[(row * push.width + first + weight_behind(4 * l)) / 4];
}
#define X_VALUE(held, i) held[i % 4]
#define X_LANE(i) (i / 4)
#else
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
#define X_HELD float
X_HELD x_load(uint row, uint first, uint l) {
  return first + l < push.width ? x[row * push.width + first + l] : 0.0;
}
#define X_VALUE(held, i) held
#define X_LANE(i) i
#endif

void main() {
  const uint group_first = linear_workgroup() * LANES * lane_outputs;
  if (group_first >= push.outputs) return;
  const uint first_row = gl_WorkGroupID.z * tile_rows;

  uint weight_row[lane_outputs];
  precise float sum[lane_outputs * tile_rows];
  [[unroll]] for (uint o = 0; o < lane_outputs; ++o) {
    // Outputs and rows past the end repeat the last one and are not stored.
    weight_row[o] =
        min(group_first + o * LANES + lane(), push.outputs - 1) * WEIGHT_ROW_BYTES(push.width);
    [[unroll]] for (uint r = 0; r < tile_rows; ++r) sum[o * tile_rows + r] = 0.0;
  }
  const uint steps = weight_steps(push.width);
  for (uint s = 0; s < steps; ++s) {
    const uint first = weight_first(s);
    precise float w[lane_outputs][WEIGHT_STEP];
    [[unroll]] for (uint o = 0; o < lane_outputs; ++o)
      weight_load(weight_row[o], first, push.width, w[o]);
    [[unroll]] for (uint r = 0; r < tile_rows; ++r) {
      const uint row = min(first_row + r, push.rows - 1);
      precise float part[lane_outputs];
      [[unroll]] for (uint o = 0; o < lane_outputs; ++o) part[o] = 0.0;
#if KEDGE_SUBGROUP
      const X_HELD held = x_load(row, first, lane());
#endif
      [[unroll]] for (uint i = 0; i < WEIGHT_STEP; ++i) {
#if KEDGE_SUBGROUP
        const float value = subgroupShuffle(X_VALUE(held, i), X_LANE(i));
#else
        const X_HELD held = x_load(row, first, X_LANE(i));
        const float value = X_VALUE(held, i);
#endif
        [[unroll]] for (uint o = 0; o < lane_outputs; ++o)
          part[o] = part[o] + w[o][i] * value;
      }
      [[unroll]] for (uint o = 0; o < lane_outputs; ++o)
        sum[o * tile_rows + r] = sum[o * tile_rows + r] + part[o];
    }
  }
  [[unroll]] for (uint o = 0; o < lane_outputs; ++o) {
    const uint bound_output = group_first + o * LANES + lane();
    [[unroll]] for (uint r = 0; r < tile_rows; ++r)
      if (bound_output < push.outputs && first_row + r < push.rows)
        store_result(first_row + r, bound_output, sum[o * tile_rows + r]);
  }
}
