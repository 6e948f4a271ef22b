// Session: one text generated from one model, with or without a drafter. A round drafts, evaluates
// the newest token and the drafts in one pass, keeps what the target itself would have drawn, and
// undoes the rest for nothing. generate() is a loop over round(). Going back, forking, saving and
// continuing all give the bytes that a new session gives for the same tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "kedge/draft/drafter.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/sample/constraint.hpp"
#include "kedge/sample/sampler.hpp"
#include "kedge/spec/generate_options.hpp"
#include "kedge/spec/stats.hpp"
#include "kedge/spec/verification.hpp"
#include "kedge/spec/window.hpp"
#include "kedge/state/sequence.hpp"
#include "kedge/verify/coupled.hpp"
#include "kedge/verify/residual.hpp"

namespace kedge::inline KEDGE_ABI {

class KEDGE_API Session {
 public:
  struct Options {
    cpu::Isa isa = cpu::Isa::best;
    Executor* executor = nullptr;     // borrowed; null: the calling thread alone
    std::int64_t context = 0;         // positions; 0: the model's, at most 8192
    Element cache = Element::f16;     // of keys and values: f32, f16, bf16 or q8_0
    std::int64_t max_draft = 16;      // tokens drafted per round, at most 31
    std::int64_t prefill_rows = 128;  // of one pass over the prompt
    // Hidden states that are kept of every row, for drafters that read them: draft::Drafter's
    // taps(). Copied.
    std::span<const std::int32_t> taps = {};
    // Most bytes that this session may take beside the model's weights; 0: no limit. Refused with
    // the bytes needed and the context that would fit, before anything is allocated.
    std::uint64_t memory_budget = 0;
    std::int64_t sequences = 1;  // this session and its forks, as many as live at once
    std::int64_t together = 1;   // of these, that round_together() may have turns of
    // Pages of 64 positions that these share; 0: enough for all at their longest.
    std::int64_t pages = 0;
    // How the state of recurrent layers is kept, in models that have some.
    RecurrentOptions recurrent = {};
    Allocator allocator = default_allocator();
  };

  // What a round did. `tokens` are new and certain; spans are good until the next call.
  struct Round {
    std::span<const std::int32_t> tokens;
    std::span<const float> logprobs;  // of `tokens`; empty unless reported
    std::int64_t proposed = 0, evaluated = 0, accepted = 0;
    StopReason stop = StopReason::none;
  };

  // What round_together() does for one session, and what came of it.
  struct Turn {
    Session* session = nullptr;
    RoundOptions options = {};
    Round round = {};
    Status status = {};  // of this session alone
  };

  static constexpr std::int32_t max_alternatives = 20;

  static Result<Session> create(std::shared_ptr<const Model> model,
                                const Options& options) noexcept;

  Session() noexcept = default;
  Session(Session&& other) noexcept = default;
  // Member by member, the old cache would go before the sequence that has pages of it.
  Session& operator=(Session&& other) noexcept {
    if (this != &other) {
      this->~Session();
      new (this) Session(std::move(other));
    }
    return *this;
  }
  ~Session() = default;

  // How tokens are drawn, from the next one on. A new session is greedy.
  Status set_sampling(const SamplingOptions& options) noexcept;
  // What tokens are allowed, from the next one on, which is the first that the rules see. None:
  // all. A prompt is not subject to it, and begin() and extend() start the rules anew.
  void set_constraint(Constraint constraint) noexcept;
  // None: plain decoding. It is told the text at the next round; one that reads hidden states makes
  // that round evaluate the text again.
  void set_drafter(draft::AnyDrafter drafter) noexcept {
    drafter_ = std::move(drafter);
    drafting_ = false;  // it has not seen the text
  }
  // How far to draft; none: as far as the drafter and Options::max_draft go.
  void set_window(window::AnyWindow window) noexcept { window_ = std::move(window); }
  const window::AnyWindow& window() const noexcept { return window_; }
  // Takes memory for distributions when it is not coupled: max_draft times the vocabulary.
  Status set_verification(Verification verification) noexcept;
  Verification verification() const noexcept { return verification_; }
  // Log-probabilities of the tokens and of so many alternatives, 0 to 20; -1: none.
  Status report_logprobs(std::int32_t alternatives) noexcept;
  // What passes keep at least, for those who look at forward().
  void set_least_need(Need need) noexcept { least_need_ = need; }

  // Forgets the text and evaluates a prompt; returns the first generated token. On error the
  // session is empty and can begin again. But Code::cancelled keeps the passes that are done:
  // text() says how far, and extend() goes on from there.
  Result<std::int32_t> begin(std::span<const std::int32_t> prompt,
                             const GenerateOptions& options = {}) noexcept;
  // Appends tokens to the text, of which only these (and the newest one) are evaluated, and returns
  // the next generated token. On error the session is as before, and Code::cancelled is as above.
  Result<std::int32_t> extend(std::span<const std::int32_t> tokens,
                              const GenerateOptions& options = {}) noexcept;

  // One pass. At most `limit` new tokens; stops after the first of `end_tokens`. On error nothing
  // of the round has happened. A failure behind an accepted draft (a NaN, no allowed token) ends
  // the round before it and comes back from the next one, as in plain decoding. A drafter that
  // cannot take the new tokens is told the whole text at the next round, which fails if that fails.
  Result<Round> round(const RoundOptions& options) noexcept;
  Result<Round> round(std::int64_t limit, std::span<const std::int32_t> end_tokens = {}) noexcept {
    return round(RoundOptions{limit, end_tokens, {}, nullptr});
  }

  // A round of each of several sessions, forks of one another, in one pass over the weights. Each
  // gets the bytes that it would get alone, whatever the others draft, and fails alone, but for the
  // pass itself, which fails for all (also when one is cancelled). The time of the pass is in the
  // statistics of every one. An error is returned when the turns themselves are wrong.
  static Status round_together(std::span<Turn> turns) noexcept;

  // begin() and rounds until something ends it.
  Result<StopReason> generate(std::span<const std::int32_t> prompt,
                              const GenerateOptions& options) noexcept;
  // extend() and rounds; rounds alone when there are no tokens.
  Result<StopReason> resume(std::span<const std::int32_t> tokens,
                            const GenerateOptions& options) noexcept;

  // Prompt and generated tokens; all but the newest are evaluated. Good until the next call.
  std::span<const std::int32_t> text() const noexcept {
    return {text_.as<const std::int32_t>(), static_cast<std::size_t>(size_)};
  }
  // The text becomes its first `count` tokens, 0 to text().size(); nothing is evaluated. With
  // recurrent layers the next call evaluates again what lies behind the nearest position whose
  // state is kept: of the last round or two, and landmarks along the prompts, of which the ends.
  Status rewind(std::int64_t count) noexcept;
  // Another session that goes on from here: same model, cache pool, sampling, verification and
  // constraint, no drafter and no window. Pages are shared until one of both writes. The two must
  // not be used at the same time (they share the arena of a pass too), nor may one be in the middle
  // of a call. Code::busy when Options::sequences are alive.
  Result<Session> fork() const noexcept;
  // Text, keys and values, recurrent state, sampling options and where a constraint began. The
  // drafter and the constraint's rules are not written; set them before or after load(). See
  // Sequence::save.
  Status save(io::Sink& sink) const noexcept;
  // Errors leave everything as it was. The pool must have room for both texts; rewind(0) makes it.
  Status load(const io::Source& source) noexcept;

  const Stats& stats() const noexcept { return stats_; }
  const Model& model() const noexcept { return engine_->forward.model(); }
  std::int64_t context() const noexcept { return engine_->cache.positions(); }
  // Tokens whose keys and values are committed; the newest token is not among them yet (and after
  // rewind() with recurrent layers maybe others).
  std::int64_t length() const noexcept { return sequence_.length(); }
  const SamplingOptions& sampling() const noexcept { return sampler_.options(); }
  const char* drafter_name() const noexcept { return drafter_.name(); }

  // The parts, for tests and for those who drive them directly.
  Forward& forward() noexcept { return engine_->forward; }
  KvCache& cache() noexcept { return engine_->cache; }
  // Null where the model has no recurrent layers.
  RecurrentState* recurrent() noexcept { return engine_->recurrent.or_null(); }
  const Sequence& sequence() const noexcept { return sequence_; }

 private:
  static constexpr std::int32_t most_top = 64;  // rows of top_k up to this need no whole logits
  // What forks share. The cache's address is in the forward's plan.
  struct Engine {
    std::shared_ptr<Accelerator> accelerator;  // of the model; null: the CPU
    KvCache cache;
    RecurrentState recurrent;
    Forward forward;
    Buffer rows, rounds;  // of sessions that have rounds together
  };
  struct Walk;       // what verification has found so far
  struct OpenRound;  // between the parts of a round

  Status allocate() noexcept;
  Need need() const noexcept;
  Result<std::int32_t> append(std::span<const std::int32_t> tokens,
                              const GenerateOptions& options) noexcept;
  Status prefill(const GenerateOptions& options) noexcept;
  Status catch_up(const std::atomic<bool>* cancel) noexcept;
  Status pass(std::int64_t first, std::int64_t count, std::int64_t keep, Need last,
              const std::atomic<bool>* cancel) noexcept;
  Status tell_drafter() noexcept;
  void cut_drafter() noexcept;
  Status show_drafter(std::int64_t first, std::int64_t row, std::int64_t count) noexcept;
  Status show_text(const std::atomic<bool>* cancel) noexcept;
  Status propose(std::int64_t count) noexcept;
  void constrain_draft(std::span<const std::int32_t> end_tokens) noexcept;
  Sampler::Draw draw_of(const Walk& walk, const ConstraintState& state, std::int64_t output,
                        std::int64_t depth, std::span<const std::int32_t> drafts) noexcept;
  void note_token(Walk& walk, std::int64_t output, std::int64_t depth) noexcept;
  verify::Chosen choose(Walk& walk, std::int64_t output, std::int64_t depth) noexcept;
  static Status expect_together(std::span<Turn> turns) noexcept;
  Status open_round(const RoundOptions& options, OpenRound& open) noexcept;
  Status verify_round(OpenRound& open) noexcept;
  verify::Accepted verify_coupled(OpenRound& open) noexcept;
  verify::Accepted verify_drawn(OpenRound& open) noexcept;
  verify::Accepted settle(OpenRound& open, verify::Accepted accepted) noexcept;
  void learn(const OpenRound& open, double commit_ms) noexcept;
  Result<Round> close_round(OpenRound& open) noexcept;
  Status commit(OpenRound& open) noexcept;
  Status show_rows(std::int64_t first, const OpenRound& open) noexcept;
  void count_round(const Round& round, std::int64_t depth, std::int64_t width) noexcept;
  void replay_constraint() noexcept;
  TokenEvent event(const GenerateOptions& options, std::int64_t position, std::int64_t index,
                   std::int32_t token) const noexcept;
  Result<StopReason> run(const Result<std::int32_t>& first,
                         const GenerateOptions& options) noexcept;
  Result<StopReason> rounds(std::int64_t made, const GenerateOptions& options) noexcept;

  Options options_;
  std::shared_ptr<Engine> engine_;
  Sequence sequence_;
  draft::AnyDrafter drafter_;
  bool drafting_ = false;      // drafter_ knows a text:
  std::int64_t told_ = 0;      // its tokens,
  std::int64_t featured_ = 0;  // and the positions whose hidden states it has seen
  draft::Draft draft_;
  window::AnyWindow window_;
  Verification verification_ = Verification::coupled;
  Buffer offered_;  // i32 and f32 [vocabulary]: what the target offers, unless coupled
  verify::Residual residual_;
  Sampler sampler_;
  Constraint constraint_;
  ConstraintState state_;         // after the text
  std::int64_t constrained_ = 0;  // the token of the text that the rules saw first
  std::int32_t alternatives_ = -1;
  Need least_need_ = Need::argmax;

  Buffer text_;  // i32 [context + 1]
  std::int64_t size_ = 0, prompt_ = 0;
  std::int64_t seen_ = 0;                // positions that were evaluated before a rewind
  StopReason ended_ = StopReason::none;  // by the first token of begin() or extend()

  Buffer scratch_;  // of one pass
  std::span<Row> rows_;
  // Of a round: the tokens chosen, which drafts hold, and which rows of a tree are committed.
  std::span<std::int32_t> tokens_, path_, branch_;
  std::span<ConstraintState> guess_states_;
  std::span<std::uint32_t> allowed_;
  std::span<float> logprobs_;
  std::span<Alternative> best_;
  Stats stats_;
};

}  // namespace kedge::inline KEDGE_ABI
