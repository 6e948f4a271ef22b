/* confidence: one workgroup per row. Bindings: h, e, weight, bias, y. */
#ifndef KEDGE_ABI_CONFIDENCE_H
#define KEDGE_ABI_CONFIDENCE_H

#include "kedge/abi/common.h"

#define KEDGE_CONFIDENCE_PUSH(MEMBER)                 \
  MEMBER(uint, rows)     /* rows of this run */       \
  MEMBER(uint, width)    /* values of a row of h */   \
  MEMBER(uint, rank)     /* of a row of e; 0: no e */ \
  MEMBER(uint, has_bias) /* 1: a bias is added to the sum */
#define KEDGE_CONFIDENCE_CONSTANTS(CONSTANT)

KEDGE_GPU_OPERATOR(Confidence, KEDGE_CONFIDENCE_PUSH, KEDGE_CONFIDENCE_CONSTANTS, 5)

#endif
