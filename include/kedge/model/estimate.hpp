// MemoryEstimate: what a model and a session on it take, known before anything is loaded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kedge/core/element.hpp"
#include "kedge/state/recurrent_policy.hpp"

namespace kedge::inline KEDGE_ABI {

// Positions of a session that asks for none, where the model has more.
constexpr std::int64_t default_context = 8192;

// What of a session's options decides its memory; the defaults are those of Session::Options.
struct SessionShape {
  std::int64_t context = 0;                 // positions; 0: the model's, at most 8192
  Element cache = Element::f16;             // of keys and values
  std::int64_t max_rows = 128;              // of one pass
  std::int64_t max_outputs = 17;            // rows of a pass that may want logits
  std::int64_t max_top = 64;                // largest logits that sampling may look at
  std::int64_t sequences = 1;               // that live at once, with forks
  std::int64_t pages = 0;                   // of 64 positions that they share; 0: enough for all
  RecurrentOptions recurrent = {};          // of models with recurrent layers
  std::int64_t max_draft = -1;              // of a round; -1: max_outputs - 1
  std::span<const std::int32_t> taps = {};  // hidden states that are kept (Forward::Options::taps)
};

struct MemoryEstimate {
  std::uint64_t stored = 0;   // bytes of the weights in the files
  std::uint64_t weights = 0;  // packed; sessions share them
  std::uint64_t loading = 0;  // buffers while weights are read, given back afterwards

  std::int64_t context = 0;           // positions that the rest is for
  std::uint64_t kv_per_position = 0;  // keys and values of one position
  std::uint64_t kv = 0;               // whole pages for `context`
  std::uint64_t recurrent = 0;        // states that do not grow; 0 for transformers
  RecurrentPolicy policy;             // under which they are kept
  std::uint64_t activations = 0;      // of one pass
  std::uint64_t tables = 0;           // rotary angles, page tables, the text
  std::uint64_t sampling = 0;         // at most, whatever the options of sampling

  std::uint64_t session() const noexcept {
    return kv + recurrent + activations + tables + sampling;
  }
  // At its highest: buffers of loading are gone when a session is created.
  std::uint64_t total() const noexcept { return weights + std::max(loading, session()); }
};

}  // namespace kedge::inline KEDGE_ABI
