// Every kind that --draft knows. A new one is a file in this folder, a declaration and an entry.
#pragma once

#include "common/drafter_kind.hpp"

namespace kedge::tools {

extern const DraftKind lookup_kind;

inline const DraftKind* const draft_kinds[] = {&lookup_kind};

}  // namespace kedge::tools
