// A unit of attention: pages of blocks.
#include "kedge/kernel/cpu/attention_page-inl.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

KEDGE_ATTENTION_PAGE_UNIT(q8_0, CachedQ8_0)

}  // namespace kedge::inline KEDGE_ABI::cpu
