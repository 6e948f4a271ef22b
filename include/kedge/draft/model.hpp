// DraftModel: a smaller model guesses for a larger one (Leviathan et al. 2023, Chen et al. 2023).
// Any supported model, with a cache, a recurrent state, an executor, an instruction set and a
// number of threads of its own. Guesses are drawn as the target draws: greedily, or with the
// target's noise of the same positions, so that where both models agree the guess holds.
//
// What it evaluates are committed tokens, all that are new since it was last asked in as few passes
// as possible, and then its own guesses one by one. Guesses that turn out to be the text stay
// evaluated; the others are undone as a session undoes drafts, by an index. A round that fails
// leaves its text as it was.
//
// Or a tree: the likeliest guesses behind every place, level by level, of which those are proposed
// that are likeliest together with all before them. A level is one pass over the tree so far, which
// is undone again, so a tree of 12 guesses takes the 3 or 4 passes of a chain that long.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kedge/draft/drafter.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/state/recurrent_policy.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class KEDGE_API DraftModel {
 public:
  struct Options {
    std::int64_t length = 4;       // guesses at most
    std::int64_t branches = 1;     // guesses behind one place where trees are asked for, 1 to 64
    std::int64_t capacity = 8193;  // tokens of the text; beyond the model's context it is silent
    cpu::Isa isa = cpu::Isa::best;
    Executor* executor = nullptr;     // borrowed; null: the calling thread alone
    Element cache = Element::f16;     // of keys and values: f32, f16, bf16 or q8_0
    std::int64_t prefill_rows = 128;  // of one pass over what is new
    std::uint64_t memory_budget = 0;  // as of a session; 0: no limit
    // The target's vocabulary; 0: the draft's. Ids at or above it are never guessed.
    std::int64_t target_vocabulary = 0;
    // A map between the vocabularies (draft/vocabulary.hpp, or a file's), copied; both empty: ids
    // mean the same. to_target: by id of the draft, [its vocabulary or less], -1 for tokens that
    // are never guessed. to_draft: by id of the target; tokens of the text without a counterpart
    // are evaluated as `filler`.
    std::span<const std::int32_t> to_target = {}, to_draft = {};
    std::int32_t filler = 0;
    // Of hybrid models. Snapshots are chosen, because guesses are passes of one row each.
    std::int64_t landmarks = 4;
    Allocator allocator = default_allocator();
  };

  static Result<DraftModel> create(std::shared_ptr<const Model> model,
                                   const Options& options) noexcept;
  DraftModel(DraftModel&&) noexcept;
  DraftModel& operator=(DraftModel&&) noexcept;
  ~DraftModel();

  Status begin(std::span<const std::int32_t> tokens) noexcept;
  Status append(std::span<const std::int32_t> tokens) noexcept;
  Status truncate(std::int64_t count) noexcept;
  // A guess's confidence is its probability under this model at the target's temperature (1 for
  // greedy sampling).
  Status propose(const Ask& ask, Draft& draft) noexcept;
  void feedback(const Outcome&) noexcept {}
  const char* name() const noexcept { return "model"; }

  // Rows evaluated so far: of the text, and of guesses.
  struct Work {
    std::int64_t text_rows = 0, text_passes = 0, guess_rows = 0;
  };
  const Work& work() const noexcept;
  const Model& model() const noexcept;

 private:
  struct Impl;
  explicit DraftModel(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

static_assert(Drafter<DraftModel> && Truncates<DraftModel>);

}  // namespace kedge::inline KEDGE_ABI::draft
