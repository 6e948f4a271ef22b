// What tells saved states of different models apart. Private to the compiled library.
#pragma once

#include <span>

#include "kedge/core/hash.hpp"
#include "model/loader.hpp"

namespace kedge::inline KEDGE_ABI {

// Of the packed weights, which the executor's workers read (null: the calling thread). Throws what
// std containers throw.
Result<std::uint64_t> digest_weights(std::span<const LoadItem> items, Executor* executor);

// Of the configuration, with the factors of its frequencies, and of the weights' digest.
Result<std::uint64_t> fingerprint(const ModelConfig& config, std::uint64_t weights);

}  // namespace kedge::inline KEDGE_ABI
