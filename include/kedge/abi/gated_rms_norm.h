/* gated_rms_norm: one workgroup per part of a row. Bindings: x, z, weight, y. */
#ifndef KEDGE_ABI_GATED_RMS_NORM_H
#define KEDGE_ABI_GATED_RMS_NORM_H

#include "kedge/abi/common.h"

#define KEDGE_GATED_RMS_NORM_PUSH(MEMBER)                 \
  MEMBER(uint, parts) /* parts of all rows of this run */ \
  MEMBER(uint, width) /* values of a part */              \
  MEMBER(float, eps)  /* added to the mean of squares */
#define KEDGE_GATED_RMS_NORM_CONSTANTS(CONSTANT) \
  CONSTANT(by_sigmoid, 1, 0) /* 1: the gate is sigmoid(z) */

KEDGE_GPU_OPERATOR(GatedRmsNorm, KEDGE_GATED_RMS_NORM_PUSH, KEDGE_GATED_RMS_NORM_CONSTANTS, 4)

#endif
