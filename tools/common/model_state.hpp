// What a model keeps of its sequences: keys and values, and the states of recurrent layers where it
// has some. Exits with the library's error when there is no room.
#pragma once

#include <memory>
#include <optional>

#include "common/failure.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/state/recurrent_state.hpp"
#include "kedge/state/sequence.hpp"

namespace kedge::tools {

class ModelState {
 public:
  // The policy says how many of a pass's rows can be taken back.
  ModelState(std::shared_ptr<const Model> model, const KvCache::Options& kv,
             const RecurrentPolicy& policy = {})
      : model_(std::move(model)) {
    const ModelConfig& c = model_->config();
    cache_ = must(KvCache::create(c.attention_layers(), c.kv_heads, c.head_dim, kv));
    if (!c.recurrent.empty())
      recurrent_ = must(RecurrentState::create(c.recurrent, {.policy = policy,
                                                             .sequences = kv.sequences,
                                                             .landmarks = 0,
                                                             .allocator = kv.allocator}));
  }
  // Forwards and sequences keep its address.
  ModelState(const ModelState&) = delete;
  ModelState& operator=(const ModelState&) = delete;

  Forward forward(const Cpu& cpu, const Forward::Options& options) {
    return must(Forward::create(model_, cpu, cache_, options, recurrent()));
  }
  Sequence sequence() { return must(Sequence::create(cache_, recurrent())); }
  KvCache& cache() { return cache_; }
  RecurrentState* recurrent() { return recurrent_ ? &*recurrent_ : nullptr; }

 private:
  std::shared_ptr<const Model> model_;
  KvCache cache_;
  std::optional<RecurrentState> recurrent_;
};

}  // namespace kedge::tools
