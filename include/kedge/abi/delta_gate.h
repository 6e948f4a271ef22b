/* delta_gate: one invocation per value of a, and of b. Bindings: a, b, a_scale, dt_bias, decay,
 * beta. */
#ifndef KEDGE_ABI_DELTA_GATE_H
#define KEDGE_ABI_DELTA_GATE_H

#include "kedge/abi/common.h"

#define KEDGE_DELTA_GATE_PUSH(MEMBER)                             \
  MEMBER(uint, rows)         /* rows of this run */               \
  MEMBER(uint, heads)        /* values of a row of b */           \
  MEMBER(uint, channels)     /* values of a row of a, per head */ \
  MEMBER(float, lower_bound) /* 0: the softplus form */
#define KEDGE_DELTA_GATE_CONSTANTS(CONSTANT)

KEDGE_GPU_OPERATOR(DeltaGate, KEDGE_DELTA_GATE_PUSH, KEDGE_DELTA_GATE_CONSTANTS, 6)

#endif
