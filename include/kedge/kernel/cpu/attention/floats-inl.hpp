// A unit of attention: pages of floats.
#include "kedge/kernel/cpu/attention_page-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

KEDGE_ATTENTION_PAGE_UNIT(f32, CachedF32)
KEDGE_ATTENTION_PAGE_UNIT(f16, CachedF16)
KEDGE_ATTENTION_PAGE_UNIT(bf16, CachedBF16)

}  // namespace kedge::inline KEDGE_ABI::cpu
