/* silu_mul: one invocation per value. Bindings: gate, up, y. */
#ifndef KEDGE_ABI_SILU_MUL_H
#define KEDGE_ABI_SILU_MUL_H

#include "kedge/abi/common.h"

#define KEDGE_SILU_MUL_PUSH(MEMBER) MEMBER(uint, count) /* values of all rows together */
#define KEDGE_SILU_MUL_CONSTANTS(CONSTANT)

KEDGE_GPU_OPERATOR(SiluMul, KEDGE_SILU_MUL_PUSH, KEDGE_SILU_MUL_CONSTANTS, 3)

#endif
