// Dspark: the drafter of DFlash and DSpark models (draft/dspark_config.hpp). It reads hidden states
// of the target: those of all positions before the newest token become keys and values of its
// context, in one batch where several rounds left some, and its slots attend to these and to one
// another. All slots of the trained block run, however few guesses are wanted, because slots see
// the whole block; what is not wanted is cut.
//
// Greedy targets get the largest logits. Else guesses are drawn as the target draws, with its
// penalties and filters: with the target's noise of their position where both share it (coupled
// verification), or with noise of their own, and then each guess has the distribution that it was
// drawn from. Without a confidence head the confidence is how sure the draft's logits are.
//
// Undo: keys and values of the block are written behind the context and never committed.
#pragma once

#include <memory>

#include "kedge/backend/cpu.hpp"
#include "kedge/draft/drafter.hpp"
#include "kedge/draft/dspark_model.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class KEDGE_API Dspark {
 public:
  struct Options {
    std::int64_t positions = 0;  // of the text; 0: the draft's own, at most 8192
    std::int64_t pending = 256;  // rows of hidden states that may wait to be made use of
    Element cache = Element::f16;
    bool logits = false;  // logits() is asked for: the Markov head corrects all of them
    Allocator allocator = default_allocator();
  };

  static Result<Dspark> create(std::shared_ptr<const DsparkModel> model, const Cpu& cpu,
                               const Options& options) noexcept;
  Dspark(Dspark&&) noexcept;
  Dspark& operator=(Dspark&&) noexcept;
  ~Dspark();

  Status begin(std::span<const std::int32_t> tokens) noexcept;
  Status append(std::span<const std::int32_t> tokens) noexcept;
  Status truncate(std::int64_t count) noexcept;
  std::span<const std::int32_t> taps() const noexcept;
  Status evaluated(std::int64_t position, const Tensor& features) noexcept;
  // Code::numeric names a slot whose logits or confidence hold a NaN; Code::invalid_argument the
  // position from which hidden states are missing. Nothing is proposed where the block would not
  // fit into `positions`.
  Status propose(const Ask& ask, Draft& draft) noexcept;
  void feedback(const Outcome&) noexcept {}
  const char* name() const noexcept;

  const DsparkModel& model() const noexcept;
  // Of the last proposal, for tools and tests: the corrected logits of guess i. Empty without
  // Options::logits, as most of them need not be computed to know the largest.
  std::span<const float> logits(std::int64_t i) const noexcept;
  std::size_t bytes() const noexcept;  // taken at creation

 private:
  struct State;
  explicit Dspark(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

static_assert(Drafter<Dspark> && Truncates<Dspark> && ReadsFeatures<Dspark>);

}  // namespace kedge::inline KEDGE_ABI::draft
