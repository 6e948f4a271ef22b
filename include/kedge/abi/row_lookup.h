/* row_lookup: one invocation per step of values of a row of y. A weight larger than the device's
   binding limit is bound in several blocks of rows, a dispatch each; a dispatch writes the rows of
   y whose tokens lie in its block, and the last one also NaN for tokens that lie in none. Bindings:
   token, weight, y. */
#ifndef KEDGE_ABI_ROW_LOOKUP_H
#define KEDGE_ABI_ROW_LOOKUP_H

#include "kedge/abi/common.h"

#define KEDGE_ROW_LOOKUP_PUSH(MEMBER)                                  \
  MEMBER(uint, rows)       /* rows of this run */                      \
  MEMBER(uint, width)      /* values of a row */                       \
  MEMBER(uint, first)      /* row of the weight that is bound first */ \
  MEMBER(uint, count)      /* rows that are bound in this dispatch */  \
  MEMBER(uint, vocabulary) /* rows of the weight; 0: not the last dispatch */
#define KEDGE_ROW_LOOKUP_CONSTANTS(CONSTANT)

KEDGE_GPU_OPERATOR(RowLookup, KEDGE_ROW_LOOKUP_PUSH, KEDGE_ROW_LOOKUP_CONSTANTS, 3)

#endif
