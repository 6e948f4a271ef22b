/* markov_bias: one invocation per value of z. Bindings: e, projection, state, z. */
#ifndef KEDGE_ABI_MARKOV_BIAS_H
#define KEDGE_ABI_MARKOV_BIAS_H

#include "kedge/abi/common.h"

#define KEDGE_MARKOV_BIAS_PUSH(MEMBER)                                                      \
  MEMBER(uint, count)                                              /* values of all rows */ \
  MEMBER(uint, rank)                                               /* values of a row of z */
#define KEDGE_MARKOV_BIAS_CONSTANTS(CONSTANT) CONSTANT(head, 1, 0) /* 0 vanilla, 1 gated, 2 rnn */

KEDGE_GPU_OPERATOR(MarkovBias, KEDGE_MARKOV_BIAS_PUSH, KEDGE_MARKOV_BIAS_CONSTANTS, 4)

#endif
