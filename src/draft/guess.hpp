// Guesser: turns a slot's logits into a guess: the largest one, or one that is drawn. Private to
// the compiled library.
#pragma once

#include "kedge/backend/cpu.hpp"
#include "kedge/core/buffer.hpp"
#include "kedge/draft/draft.hpp"
#include "kedge/op/top_k.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class Guesser {
 public:
  // Drawn guesses are one of the `support` largest of `vocabulary` logits. `map`, of the caller's:
  // the target's token of each of them; null: the same.
  static Result<Guesser> create(const Cpu& cpu, std::int64_t vocabulary, std::int64_t support,
                                const std::int32_t* map, const Allocator& allocator) noexcept;

  // Pushes guess `step` of a proposal. `logits` is f32 [1, vocabulary], `choice` the index of the
  // largest. The target's token; -1 where the draft had no room for what it was drawn from, so that
  // nothing was pushed.
  Result<std::int32_t> push(const Ask& ask, std::int64_t step, const Tensor& logits,
                            std::int32_t choice, float confidence, Draft& draft) noexcept;

 private:
  std::int32_t target(std::int32_t i) const noexcept { return map_ == nullptr ? i : map_[i]; }

  Cpu cpu_;
  op::TopK::Args top_;
  const std::int32_t* map_ = nullptr;
  Buffer memory_;
};

}  // namespace kedge::inline KEDGE_ABI::draft
