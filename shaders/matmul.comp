// op/matmul.hpp with F32 activations: one workgroup makes one output for `tile_rows` rows of x, so
// that the weight is read and decoded once for all of them. Which values a lane takes, and the order
// of every sum, follow from the width alone: a row's bytes do not depend on how many rows there are.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/matmul.h"

#include "common/grid.glsl"
#define REDUCE_COUNT tile_rows
#include "common/reduce.glsl"

layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) readonly buffer Weight { uint weight[]; };
layout(std430, set = 0, binding = 2) readonly buffer Residual { float residual[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Y { float y[]; };

#include "common/block.glsl"

void main() {
  const uint output_index = linear_workgroup();
  if (output_index >= push.outputs) return;
  const uint first_row = gl_WorkGroupID.z * tile_rows;
  const uint weight_row = output_index * WEIGHT_ROW_BYTES(push.width);

  precise float sum[tile_rows];
  for (uint r = 0; r < tile_rows; ++r) sum[r] = 0.0;
  for (uint s = lane(); s < weight_steps(push.width); s += gl_WorkGroupSize.x) {
    precise float w[WEIGHT_STEP];
    const uint first = weight_first(s);
    weight_load(weight_row, first, push.width, w);
    for (uint r = 0; r < tile_rows; ++r) {
      // Rows past the end repeat the last one; their sums are not stored.
      const uint at = min(first_row + r, push.rows - 1) * push.width + first;
      for (uint i = 0; i < WEIGHT_STEP; ++i)
        if (WEIGHT_STEP == 32 || first + i < push.width)
          sum[r] = sum[r] + w[i] * x[at + weight_behind(i)];
    }
  }
  reduce_add(sum);

  for (uint r = 0; r < tile_rows; ++r) {
    const uint row = first_row + r;
    if (lane() != r || row >= push.rows) continue;
    const uint column = push.first + output_index;
    precise float result = sum[r];
    if (has_residual == 1) result = result + residual[row * push.stride + column];
    if (has_residual == 2) result = result + residual[column];
    y[row * push.stride + column] = result;
  }
}
