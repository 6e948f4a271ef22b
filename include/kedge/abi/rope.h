/* rope: one invocation per pair of a head, and per value that does not turn. Bindings: x, table,
 * position, y. */
#ifndef KEDGE_ABI_ROPE_H
#define KEDGE_ABI_ROPE_H

#include "kedge/abi/common.h"

#define KEDGE_ROPE_PUSH(MEMBER)                                                 \
  MEMBER(uint, heads)          /* heads of all rows of this run */              \
  MEMBER(uint, row_heads)      /* heads of a row */                             \
  MEMBER(uint, head_dim)       /* values of a head */                           \
  MEMBER(uint, rotary_dims)    /* leading values of a head that turn */         \
  MEMBER(uint, section_height) /* frequencies that the second position turns */ \
  MEMBER(uint, section_width)  /* and the third */
#define KEDGE_ROPE_CONSTANTS(CONSTANT)                                             \
  CONSTANT(interleaved, 1, 0) /* 1: pairs (2i, 2i + 1) instead of (i, i + half) */ \
  CONSTANT(streams, 2, 1)     /* positions of a row, 1 or 3 */

KEDGE_GPU_OPERATOR(Rope, KEDGE_ROPE_PUSH, KEDGE_ROPE_CONSTANTS, 4)

#endif
