/* place_columns: one invocation per value of x. Bindings: x, y. */
#ifndef KEDGE_ABI_PLACE_COLUMNS_H
#define KEDGE_ABI_PLACE_COLUMNS_H

#include "kedge/abi/common.h"

#define KEDGE_PLACE_COLUMNS_PUSH(MEMBER)          \
  MEMBER(uint, rows)   /* rows of this run */     \
  MEMBER(uint, width)  /* values of a row of x */ \
  MEMBER(uint, stride) /* values of a row of y */ \
  MEMBER(uint, first)  /* column of y that the first goes to */
#define KEDGE_PLACE_COLUMNS_CONSTANTS(CONSTANT)

KEDGE_GPU_OPERATOR(PlaceColumns, KEDGE_PLACE_COLUMNS_PUSH, KEDGE_PLACE_COLUMNS_CONSTANTS, 2)

#endif
