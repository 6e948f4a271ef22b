/* sigmoid_mul: one invocation per value. Bindings: x, gate, y. */
#ifndef KEDGE_ABI_SIGMOID_MUL_H
#define KEDGE_ABI_SIGMOID_MUL_H

#include "kedge/abi/common.h"

#define KEDGE_SIGMOID_MUL_PUSH(MEMBER) MEMBER(uint, count) /* values of all rows together */
#define KEDGE_SIGMOID_MUL_CONSTANTS(CONSTANT)

KEDGE_GPU_OPERATOR(SigmoidMul, KEDGE_SIGMOID_MUL_PUSH, KEDGE_SIGMOID_MUL_CONSTANTS, 3)

#endif
