/* rms_norm: one workgroup per row. Bindings: x, weight, y. */
#ifndef KEDGE_ABI_RMS_NORM_H
#define KEDGE_ABI_RMS_NORM_H

#include "kedge/abi/common.h"

#define KEDGE_RMS_NORM_PUSH(MEMBER)          \
  MEMBER(uint, rows)  /* rows of this run */ \
  MEMBER(uint, width) /* values of a row */  \
  MEMBER(float, eps)  /* added to the mean of squares */
#define KEDGE_RMS_NORM_CONSTANTS(CONSTANT)

KEDGE_GPU_OPERATOR(RmsNorm, KEDGE_RMS_NORM_PUSH, KEDGE_RMS_NORM_CONSTANTS, 3)

#endif
