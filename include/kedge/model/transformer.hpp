// Assembles a dense transformer: pre-norm blocks with grouped-query attention, rotary positions and
// a SiLU-gated feed-forward layer (Touvron et al. 2023, arXiv 2302.13971), with the biases and the
// norms of queries and keys that the model has.
#pragma once

#include "kedge/graph/graph.hpp"
#include "kedge/model/model.hpp"
#include "kedge/state/kv_cache.hpp"

namespace kedge::inline KEDGE_ABI {

// What a caller writes before a run, and what stands there afterwards. Values of the graph.
struct PassValues {
  Tensor token, position, sequence;  // i32 [1, rows]
  Tensor tiles;                      // of op::Attention
  Tensor output_row;                 // i32 [1, outputs]: the rows whose logits are wanted
  Tensor logits;                     // f32 [outputs, vocabulary]
  Tensor choice;                     // i32 [outputs, 1]: the largest logit, -1 when one is NaN
};

// `rope_table` is filled by fill_rope_table() for as many positions as the cache has.
KEDGE_API Result<PassValues> build_transformer(Graph& graph, const Model& model,
                                               const KvCache& cache,
                                               const Tensor& rope_table) noexcept;

}  // namespace kedge::inline KEDGE_ABI
