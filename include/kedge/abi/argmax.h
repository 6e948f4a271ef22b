/* argmax: two dispatches. The first, one workgroup per chunk of a row, finds the best of its chunk;
   the second, one workgroup per row, the best of the chunks. Bindings: x, index, value,
   chunk_index, chunk_value. */
#ifndef KEDGE_ABI_ARGMAX_H
#define KEDGE_ABI_ARGMAX_H

#include "kedge/abi/common.h"

#define KEDGE_ARGMAX_PUSH(MEMBER)                                                         \
  MEMBER(uint, rows)                                               /* rows of this run */ \
  MEMBER(uint, width)                                              /* values of a row */  \
  MEMBER(uint, chunks)                                             /* of a row */         \
  MEMBER(uint, chunk)                                              /* values of a chunk */
#define KEDGE_ARGMAX_CONSTANTS(CONSTANT) CONSTANT(of_chunks, 1, 0) /* 1: the second dispatch */

KEDGE_GPU_OPERATOR(Argmax, KEDGE_ARGMAX_PUSH, KEDGE_ARGMAX_CONSTANTS, 5)

#endif
