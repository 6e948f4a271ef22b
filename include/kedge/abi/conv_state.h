/* conv_state: two dispatches of one invocation per (row, channel). The first makes y, the second
   stores the columns that are kept, which may take the place of columns that the first reads.
   Bindings: x, weight, bias, runs, steps, window, y. */
#ifndef KEDGE_ABI_CONV_STATE_H
#define KEDGE_ABI_CONV_STATE_H

#include "kedge/abi/common.h"

#define KEDGE_CONV_STATE_PUSH(MEMBER)                          \
  MEMBER(uint, rows)         /* rows of this pass */           \
  MEMBER(uint, runs)         /* groups of them, by sequence */ \
  MEMBER(uint, channels)     /* values of a row */             \
  MEMBER(uint, window_slots) /* columns of a sequence's ring */
#define KEDGE_CONV_STATE_CONSTANTS(CONSTANT)                          \
  CONSTANT(taps, 1, 4)     /* columns that a row sees, its own too */ \
  CONSTANT(has_bias, 2, 0) /* 1: the sum begins at the bias */        \
  CONSTANT(keep, 3, 0)     /* 1: store columns instead of making y */

KEDGE_GPU_OPERATOR(ConvState, KEDGE_CONV_STATE_PUSH, KEDGE_CONV_STATE_CONSTANTS, 7)

#endif
