/* matmul: a workgroup makes lane_outputs outputs, or with output lanes so many for each lane, for a
   tile of activation rows (shaders/matmul.comp). The weight is read once for a tile. Bindings: x,
   weight, residual, y. */
#ifndef KEDGE_ABI_MATMUL_H
#define KEDGE_ABI_MATMUL_H

#include "kedge/abi/common.h"

#define KEDGE_MATMUL_PUSH(MEMBER)                                          \
  MEMBER(uint, rows)     /* activation rows of this run */                 \
  MEMBER(uint, width)    /* values of a row of x and of the weight */      \
  MEMBER(uint, outputs)  /* weight rows that are bound in this dispatch */ \
  MEMBER(uint, first)    /* column of y that the first of them makes */    \
  MEMBER(uint, stride)   /* values of a row of y and of the residual */    \
  MEMBER(uint, residual) /* 1: y = product + residual, 2: + its only row */
#define KEDGE_MATMUL_CONSTANTS(CONSTANT)                                           \
  CONSTANT(tile_rows, 1, 1)    /* activation rows per workgroup: 1, 2, 4, 8, 16 */ \
  CONSTANT(lane_outputs, 2, 1) /* outputs that a lane works on at once */

KEDGE_GPU_OPERATOR(Matmul, KEDGE_MATMUL_PUSH, KEDGE_MATMUL_CONSTANTS, 4)

#endif
