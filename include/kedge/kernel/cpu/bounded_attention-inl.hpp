// bounded_attention: the kernels of attention under a mask by row.
#include "kedge/kernel/cpu/attention_walk-inl.hpp"
#include "kedge/kernel/cpu/bounded_attention.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

extern const AttentionUnit KEDGE_UNIT(bounded_attention);
const AttentionUnit KEDGE_UNIT(bounded_attention) = KEDGE_ISA::attention_table<op::mask::Bounded>;

}  // namespace kedge::inline KEDGE_ABI::cpu
