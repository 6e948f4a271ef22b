// Assembles a transformer: pre-norm blocks with grouped-query attention, rotary positions and a
// SiLU-gated feed-forward layer (Touvron et al. 2023, arXiv 2302.13971), with the biases, the norms
// of queries and keys and the output gates that the model has. In hybrid models most layers have a
// gated delta rule instead of attention (Yang et al. 2024, arXiv 2412.06464).
#pragma once

#include <span>

#include "kedge/graph/graph.hpp"
#include "kedge/model/model.hpp"
#include "kedge/state/kv_cache.hpp"

namespace kedge::inline KEDGE_ABI {

class RecurrentState;

// What a caller writes before a run, and what stands there afterwards. Values of the graph.
struct PassValues {
  Tensor token, position, sequence;  // i32 [1, rows]
  Tensor slot, parent;               // of op::Attention, always there: equal position without trees
  Tensor tiles;                      // of op::Attention
  Tensor runs, steps;                // of op/recurrent_run.hpp; empty without recurrent layers
  Tensor features;                   // f32 [rows, taps * width]; empty without taps
  Tensor output_row;                 // i32 [1, outputs]: the rows whose logits are wanted
  Tensor logits;                     // f32 [outputs, vocabulary]
  Tensor logits_wanted;              // i32 [1], 0: logits are not needed; empty: always made
  Tensor choice;                     // i32 [outputs, 1]: the largest logit, -1 when one is NaN
};

// The hidden state behind the final norm, among taps (Forward::Options::taps).
constexpr std::int32_t tap_normed = -1;

// `rope_table` is filled by fill_rope_table() for as many positions as the cache has, which holds
// the layers with attention. `recurrent` has the model's recurrent shape; null where it has none.
KEDGE_API Result<PassValues> build_transformer(Graph& graph, const Model& model,
                                               const KvCache& cache,
                                               const RecurrentState* recurrent,
                                               const Tensor& rope_table,
                                               std::span<const std::int32_t> taps = {}) noexcept;

}  // namespace kedge::inline KEDGE_ABI
