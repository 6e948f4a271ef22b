// The two passes of a DFlash backbone as graphs: hidden states of the target into keys and values
// of the context, and a block of slots into hidden states and logits. Private to the compiled
// library.
#pragma once

#include "kedge/draft/dspark_model.hpp"
#include "kedge/graph/graph.hpp"
#include "kedge/state/kv_cache.hpp"

namespace kedge::inline KEDGE_ABI::draft {

struct ContextValues {
  Tensor features;            // f32 [rows, taps * target width]
  Tensor position, sequence;  // i32 [1, rows]
};

struct BlockValues {
  Tensor token, position, sequence;  // i32 [1, block]
  // What rows see: themselves and what is before (tiles of op::Attention), the whole block, and
  // from which position of the context on where layers have a window.
  Tensor tiles, last, last_tiles, first;
  Tensor hidden;  // f32 [block, width], behind the final norm
  Tensor logits;  // f32 [block, draft vocabulary], before any correction
  Tensor choice;  // i32 [block, 1], the largest of them
};

Result<ContextValues> build_context(Graph& graph, const DsparkModel& model, const KvCache& cache,
                                    const Tensor& rope) noexcept;
Result<BlockValues> build_block(Graph& graph, const DsparkModel& model, const KvCache& cache,
                                const Tensor& rope) noexcept;

}  // namespace kedge::inline KEDGE_ABI::draft
