// MarkovHead: the slots of a block one after the other. Each adds what the token before makes of it
// to its logits, chooses, and says how sure it is. The choice comes back to the caller, who may
// draw instead. On the CPU a slot is two plans over one row: what precedes the product with W2, and
// the product, which MarkovChoice may spare where nobody wants the logits; on a device it is one.
// Private to the compiled library.
#pragma once

#include <vector>

#include "draft/dspark_graph.hpp"
#include "draft/markov_choice.hpp"
#include "draft/site.hpp"
#include "kedge/draft/dspark_model.hpp"
#include "kedge/graph/plan.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class MarkovHead {
 public:
  // Reads hidden states, logits and their largest of the block, one row per slot, which stay where
  // they are; logits are corrected in place.
  static Result<MarkovHead> create(const DsparkModel& model, const Site& site,
                                   const BlockValues& block) noexcept;

  struct Step {
    std::int32_t choice;  // row of the draft's head with the largest logit; -1: there is a NaN
    float confidence;     // Draft::unknown without that head
  };
  // Before the first slot that guesses. An rnn also sees the slots that guess nothing.
  Status begin(std::int32_t anchor) noexcept;
  // The slot's choice, given the target's token before; and its logits, where they are wanted.
  Result<Step> step(std::int64_t slot, std::int32_t previous, bool logits_wanted) noexcept;
  std::size_t bytes() const noexcept;

 private:
  struct Slot {
    std::vector<Plan> plans;
    Tensor previous, choice, confidence;
    Tensor z;                 // on the CPU, with a Markov head
    float* logits = nullptr;  // the row, and the largest of it, not corrected
    const std::int32_t* largest = nullptr;
    Tensor corrected;  // on a device that could not bind the row itself
  };
  Result<Slot> build(const DsparkModel& model, const Site& site, const BlockValues& block,
                     std::int64_t slot) noexcept;

  std::int64_t first_slot_ = 0;
  bool confidence_ = false;
  Buffer state_;
  MarkovChoice quick_;
  std::vector<Slot> slots_;  // of the block
};

}  // namespace kedge::inline KEDGE_ABI::draft
