// Drawing: one guess from the logits of a drafter's model, as the target would draw it. Logits of
// another vocabulary are first put where the target has its tokens, so that noise, penalties and
// filters are the target's own. Private to the compiled library.
#pragma once

#include <cstdint>
#include <span>

#include "kedge/draft/draft.hpp"
#include "kedge/kernel/cpu/phase.hpp"
#include "kedge/sample/sampler.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class Drawing {
 public:
  struct Options {
    cpu::Isa isa = cpu::Isa::scalar;
    std::int64_t vocabulary = 0;                   // of the logits
    std::int64_t target = 0;                       // of the tokens that are drawn
    std::span<const std::int32_t> to_target = {};  // empty: ids mean the same
    bool ranks = false;                            // rank() will be asked for
    Allocator allocator = default_allocator();
  };
  static Result<Drawing> create(const Options& options) noexcept;
  Drawing() noexcept = default;

  // Takes the options over, if they are not those of the last call, which allocates.
  Status prepare(const SamplingOptions& sampling) noexcept;

  // Logits of a guess, and what is known of them: the index of the largest, and how likely the
  // guess holds.
  struct Row {
    std::span<const float> logits;
    std::int32_t largest = -1;
    float confidence = Draft::unknown;
  };
  // Whether a guess of this asks for more than the index of the largest logit. `sure`: rows have a
  // confidence.
  bool reads_logits(const Ask& ask, bool sure) const noexcept {
    const bool asked = ask.confidences || ask.least_confidence > 0;
    return !sampler_.plain_greedy() || (asked && !sure);
  }
  // Draws the next guess and pushes it, where it is one of `left` more that share what room there
  // is for distributions. The target's token; -1: it was less sure than is asked for, nothing was
  // pushed.
  Result<std::int32_t> guess(const Row& row, const Ask& ask, std::span<const std::int32_t> text,
                             std::int64_t left, Draft& draft) noexcept;

  struct Ranked {
    std::int32_t token = 0;
    float chance = 0;
  };
  // The tokens that the target would draw at `position`, if its logits were these, then the next
  // ones, if those were not there: `ranked` or fewer, whose number is returned. The text before is
  // `text` and then `guesses`. How likely each is to be drawn, the target's logits being others:
  // as if theirs differed by noise of the size of 1. At temperature 0 that is their softmax.
  Result<std::int64_t> rank(std::span<const float> logits, const Ask& ask,
                            std::span<const std::int32_t> text,
                            std::span<const std::int32_t> guesses,
                            std::span<Ranked> ranked) noexcept;

 private:
  // Of a guess that is drawn the confidence says how sure the draw was, not how likely its outcome,
  // by which drafts must not be cut (spec/window.hpp).
  struct Drawn {
    std::int32_t token = 0;
    float confidence = 0;
    Distribution from;  // empty: it is certain. Good until the next call
  };
  // `most` entries of a distribution are wanted at most; 0: a guess that does not share the
  // target's noise has to be certain.
  Result<Drawn> draw(const Row& row, const Ask& ask, std::span<const std::int32_t> text,
                     const Draft& draft, std::int64_t most) noexcept;
  std::span<const float> for_target(std::span<const float> logits) noexcept;
  Result<Drawn> draw_apart(const Sampler::Draw& draw, const Ask& ask, std::int64_t step,
                           std::int64_t most) noexcept;
  float probability(const Row& row, std::span<const float> logits, std::int32_t token,
                    const Ask& ask) const noexcept;
  std::int32_t target_of(std::int32_t id) const noexcept {
    return id < 0 || to_target_.empty() ? id : to_target_[static_cast<std::size_t>(id)];
  }

  cpu::Isa isa_ = cpu::Isa::scalar;
  std::int64_t target_ = 0;
  Allocator allocator_ = default_allocator();
  Buffer memory_;
  std::span<std::int32_t> to_target_;
  std::span<float> placed_;  // [target], where ids differ or the draft has fewer
  Buffer allowed_;           // bits of all tokens, of rank()
  Sampler sampler_;          // of the target's options
  Sampler greedy_;
  struct Entry {
    float probability;
    std::int32_t token;
  };
  Buffer from_;  // tokens, probabilities and entries of a distribution
  bool prepared_ = false;
};

}  // namespace kedge::inline KEDGE_ABI::draft
