/* gated_delta: two dispatches. Prepare, one workgroup per (row, key head), makes q, k and e as they
   are used; rows, one team of 8 lanes per (run, value head, group of columns), keeps its columns
   while the run's rows go by. Numbers of planes, records and rows come from the tables, never from
   here. Bindings: x, decay, beta, runs, steps, state, records, scratch, y. */
#ifndef KEDGE_ABI_GATED_DELTA_H
#define KEDGE_ABI_GATED_DELTA_H

#include "kedge/abi/common.h"

#define KEDGE_GATED_DELTA_PUSH(MEMBER)                          \
  MEMBER(uint, rows)         /* of this pass */                 \
  MEMBER(uint, key_heads)    /* heads of q and k */             \
  MEMBER(uint, value_heads)  /* heads of v */                   \
  MEMBER(uint, record_slots) /* records of a sequence's ring */ \
  MEMBER(float, l2_eps)      /* in the norm of q and k */       \
  MEMBER(float, query_scale) /* factor of q */
#define KEDGE_GATED_DELTA_CONSTANTS(CONSTANT)                                       \
  CONSTANT(key_dim, 1, 128)     /* values of a key */                               \
  CONSTANT(value_dim, 2, 128)   /* values of a value head */                        \
  CONSTANT(channel_decay, 3, 0) /* 1: one decay per key channel (KDA) */            \
  CONSTANT(l2_max, 4, 0)        /* 1: max(norm, l2_eps) instead of adding l2_eps */ \
  CONSTANT(grouped, 5, 0)       /* 1: key head h / r instead of h mod key_heads */  \
  CONSTANT(columns, 6, 4)       /* of a team: 4 or 8 */

KEDGE_GPU_OPERATOR(GatedDelta, KEDGE_GATED_DELTA_PUSH, KEDGE_GATED_DELTA_CONSTANTS, 9)

#endif
