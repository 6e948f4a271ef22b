/* kv_store: one invocation per dimension of a row's head, which stores its key and its value; in
 * Q8_0 one per block of 32 keys, and of values. Bindings: k, v, position, sequence, pages, cache.
 */
#ifndef KEDGE_ABI_KV_STORE_H
#define KEDGE_ABI_KV_STORE_H

#include "kedge/abi/common.h"

#define KEDGE_KV_STORE_PUSH(MEMBER)                                                \
  MEMBER(uint, heads)       /* key/value heads of all rows of this run */          \
  MEMBER(uint, kv_heads)    /* of a row */                                         \
  MEMBER(uint, head_dim)    /* values of a head */                                 \
  MEMBER(uint, max_pages)   /* of a sequence in `pages` */                         \
  MEMBER(uint, page_stride) /* from a page to the next: elements, in Q8_0 bytes */ \
  MEMBER(uint, head_stride) /* from a head block to the next, likewise */
#define KEDGE_KV_STORE_CONSTANTS(CONSTANT) CONSTANT(bf16, 1, 0) /* of 16 bits: 1: BF16, 0: F16 */

KEDGE_GPU_OPERATOR(KvStore, KEDGE_KV_STORE_PUSH, KEDGE_KV_STORE_CONSTANTS, 6)

#endif
