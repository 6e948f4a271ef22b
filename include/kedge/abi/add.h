/* add: one invocation per value. Bindings: a, b, y. */
#ifndef KEDGE_ABI_ADD_H
#define KEDGE_ABI_ADD_H

#include "kedge/abi/common.h"

#define KEDGE_ADD_PUSH(MEMBER) MEMBER(uint, count) /* values of all rows together */
#define KEDGE_ADD_CONSTANTS(CONSTANT)

KEDGE_GPU_OPERATOR(Add, KEDGE_ADD_PUSH, KEDGE_ADD_CONSTANTS, 3)

#endif
