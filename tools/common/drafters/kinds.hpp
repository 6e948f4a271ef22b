// Every kind that --draft knows. A new one is a file in this folder, a declaration and an entry.
#pragma once

#include "common/drafter_kind.hpp"

namespace kedge::tools {

extern const DraftKind lookup_kind;
extern const DraftKind model_kind;
extern const DraftKind dspark_kind, dflash_kind, mtp_kind;
extern const DraftKind map_k_kind, map_k4v_kind, mod_kind, cache_kind, suffix_kind;

inline const DraftKind* const draft_kinds[] = {
    &lookup_kind, &map_k_kind, &map_k4v_kind, &mod_kind,    &cache_kind,
    &suffix_kind, &model_kind, &dspark_kind,  &dflash_kind, &mtp_kind,
};

}  // namespace kedge::tools
