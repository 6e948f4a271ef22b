// bounded_attention: attention (op/attention.hpp) of rows that see their sequence's positions from
// first[row] on. What lies before is passed over, NaN or not. As everywhere, `position` is the last
// position that a row sees: rows of a block that see one another have the block's last one, and the
// bytes are those of a row that stands there.
#pragma once

#include "kedge/op/attention.hpp"

namespace kedge::inline KEDGE_ABI::op {

struct BoundedAttention : MaskedAttention<mask::Bounded> {};

}  // namespace kedge::inline KEDGE_ABI::op
