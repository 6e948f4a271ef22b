/* top_k: two dispatches. The first, one workgroup per chunk of a row, keeps the k best of its chunk
   in no order; the second, one workgroup per row, finds and sorts the k best of these. Bindings: x,
   index, value, scratch. */
#ifndef KEDGE_ABI_TOP_K_H
#define KEDGE_ABI_TOP_K_H

#include "kedge/abi/common.h"

#define KEDGE_TOP_K_MOST 256 /* k at most */

#define KEDGE_TOP_K_PUSH(MEMBER)                                                          \
  MEMBER(uint, rows)                                              /* rows of this run */  \
  MEMBER(uint, width)                                             /* values of a row */   \
  MEMBER(uint, chunks)                                            /* of a row */          \
  MEMBER(uint, chunk)                                             /* values of a chunk */ \
  MEMBER(uint, k)                                                 /* how many are wanted */
#define KEDGE_TOP_K_CONSTANTS(CONSTANT) CONSTANT(of_chunks, 1, 0) /* 1: the second dispatch */

KEDGE_GPU_OPERATOR(TopK, KEDGE_TOP_K_PUSH, KEDGE_TOP_K_CONSTANTS, 4)

#endif
