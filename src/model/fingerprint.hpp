// What tells saved states of different models apart. Private to the compiled library.
#pragma once

#include <span>

#include "kedge/core/hash.hpp"
#include "model/loader.hpp"

namespace kedge::inline KEDGE_ABI {

// Of the configuration and of the packed weights, which the executor's workers read (null: the
// calling thread). Throws what std containers throw.
Result<std::uint64_t> fingerprint(const ModelConfig& config, std::span<const LoadItem> items,
                                  Executor* executor);

}  // namespace kedge::inline KEDGE_ABI
