// A unit of attention: pages that many queries read whole.
#if !defined(KEDGE_ISA_IS_scalar)
#include "kedge/kernel/cpu/attention_wide-inl.hpp"
#endif
#include "kedge/kernel/cpu/attention_page.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

extern const AttentionWideUnit KEDGE_UNIT(attention_wide);
#if defined(KEDGE_ISA_IS_scalar)  // gains nothing from many rows
const AttentionWideUnit KEDGE_UNIT(attention_wide) = {nullptr};
#else
const AttentionWideUnit KEDGE_UNIT(attention_wide) = {KEDGE_ISA::read_wide};
#endif

}  // namespace kedge::inline KEDGE_ABI::cpu
