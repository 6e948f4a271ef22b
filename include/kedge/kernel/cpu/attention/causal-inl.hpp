// A unit of attention: the walk that sees every earlier key. An operator with a mask of its own has
// a unit like this one.
#include "kedge/kernel/cpu/attention_walk-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

extern const AttentionUnit KEDGE_UNIT(attention);
const AttentionUnit KEDGE_UNIT(attention) = KEDGE_ISA::attention_table<op::mask::Causal>;

}  // namespace kedge::inline KEDGE_ABI::cpu
