// What the configurations of hybrid models add to those of dense transformers. Private to the
// compiled library; the readers throw what std containers throw.
#pragma once

#include "model/architecture.hpp"
#include "model/config_fields.hpp"

namespace kedge::inline KEDGE_ABI {

Status read_hybrid(const Keys& keys, ModelConfig& config);
// `config` has its layers and sizes; `tensors` says whether layers for further tokens are there.
Status read_hybrid(const Fields& fields, const TensorDirectory& tensors, ModelConfig& config);

// The sections of three-dimensional positions, which are equal for text: only that they could be.
Status check_sections(std::int64_t sum, const ModelConfig& config, const char* place,
                      const char* key) noexcept;

// Heads, sizes and layers that cannot be, with their numbers.
Status check_hybrid(const ModelConfig& config, const char* place) noexcept;

}  // namespace kedge::inline KEDGE_ABI
