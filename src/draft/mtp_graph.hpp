// The pass of a layer that predicts further tokens, as a graph. Private to the compiled library.
#pragma once

#include "kedge/draft/mtp.hpp"
#include "kedge/graph/graph.hpp"
#include "kedge/state/kv_cache.hpp"

namespace kedge::inline KEDGE_ABI::draft {

struct MtpValues {
  Tensor token, position, sequence;  // i32 [1, rows]: the token at t + 1; t
  Tensor features;                   // f32 [rows, width], of t
  Tensor tiles;
  Tensor output_row;  // i32 [1, 1]: the row that guesses
  Tensor hidden;      // f32 [1, width], what the next guess takes
  Tensor logits;      // f32 [1, vocabulary]
  Tensor choice;      // i32 [1, 1]
};

// For one row that guesses.
Result<MtpValues> build_mtp(Graph& graph, const MtpModel& model, const KvCache& cache,
                            const Tensor& rope) noexcept;

}  // namespace kedge::inline KEDGE_ABI::draft
