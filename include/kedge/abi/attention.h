/* attention and bounded_attention. One workgroup per key/value head, tile of rows, group of splits
   and chunk of queries; few rows leave a record per split in scratch, which a second dispatch of
   one workgroup per (row, head) folds; many rows fold as they go. A query is a (row, head), the
   heads of a group side by side. Bindings: q, position, sequence, pages, cache, tiles, scratch, y,
   slot, parent, first. */
#ifndef KEDGE_ABI_ATTENTION_H
#define KEDGE_ABI_ATTENTION_H

#include "kedge/abi/common.h"

#define KEDGE_ATTENTION_PUSH(MEMBER)                                                    \
  MEMBER(uint, rows)         /* of this run */                                          \
  MEMBER(uint, kv_heads)     /* key/value heads */                                      \
  MEMBER(uint, group)        /* query heads of each */                                  \
  MEMBER(uint, max_pages)    /* of a sequence in `pages` */                             \
  MEMBER(uint, page_stride)  /* from a page to the next, in 16 bytes */                 \
  MEMBER(uint, head_stride)  /* from a head block to the next, in 16 bytes */           \
  MEMBER(uint, splits)       /* records of a (row, head) in scratch */                  \
  MEMBER(uint, split_groups) /* workgroups that share the splits of a tile and head */  \
  MEMBER(uint, chunks)       /* workgroups that share the queries of a tile and head */ \
  MEMBER(float, scale)       /* factor of the scores */
#define KEDGE_ATTENTION_CONSTANTS(CONSTANT)                                  \
  CONSTANT(head_dim, 1, 64) /* values of a head, a multiple of 4 */          \
  CONSTANT(queries, 2, 1)   /* of a lane while it makes scores */            \
  CONSTANT(bf16, 3, 0)      /* of 16 bits: 1: BF16, 0: F16 */                \
  CONSTANT(trees, 4, 0)     /* 1: rows may be stored elsewhere */            \
  CONSTANT(bounded, 5, 0)   /* 1: a row sees positions from first[row] on */ \
  CONSTANT(whole, 6, 0)     /* 1: fold as you go, write y */

KEDGE_GPU_OPERATOR(Attention, KEDGE_ATTENTION_PUSH, KEDGE_ATTENTION_CONSTANTS, 11)

#endif
