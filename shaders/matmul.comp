// op/matmul.hpp with F32 activations. A weight is read and decoded once for `tile_rows` rows of x,
// in one of two ways that kernel/vulkan/matmul.hpp chooses by device, never by rows:
//   KEDGE_OUTPUT_LANES=0  lanes share an output (matmul/shared_output.glsl)
//   KEDGE_OUTPUT_LANES=1  each lane has outputs of its own (matmul/own_output.glsl)
// Which values a lane takes, and the order of every sum, follow from the width alone: a row's bytes
// do not depend on how many rows there are. A step of values is summed apart and then added, which
// also keeps the rounding error of long rows small.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "kedge/abi/matmul.h"

#include "common/grid.glsl"

#define WEIGHT_BINDING 1
#include "common/block.glsl"

layout(std430, set = 0, binding = 2) readonly buffer Residual { float residual[]; };
layout(std430, set = 0, binding = 3) writeonly buffer Y { float y[]; };

void store_result(uint row, uint bound_output, float sum) {
  const uint column = push.first + bound_output, at = row * push.stride + column;
  precise float result = sum;
  if (push.residual == 1) result = result + residual[at];
  if (push.residual == 2) result = result + residual[column];
  y[at] = result;
}

#if KEDGE_OUTPUT_LANES
#include "matmul/own_output.glsl"
#else
#include "matmul/shared_output.glsl"
#endif
