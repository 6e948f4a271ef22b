// The Window concept: how far to draft. A window is asked before every round for the most guesses
// worth drafting, then how many of the proposal are worth evaluating, and is told afterwards what
// came of it and what it cost. Windows never change what coupled verification generates, only how
// fast.
//
// With drafts that were drawn (draft::Distribution), how many are kept may depend on a guess's
// confidence only where that was known before the guess was drawn, and on nothing behind the guess:
// else the guesses that stay are no longer distributed as q says, and rejection is not lossless
// (the example of Cheng et al. 2026, "DSpark", appendix A).
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "kedge/core/result.hpp"
#include "kedge/draft/draft.hpp"

namespace kedge::inline KEDGE_ABI::window {

// A round that is over. draft_ms + target_ms + other_ms is its time. Spans are good during the
// call.
struct Trial {
  std::int64_t asked = 0;      // what ask() said
  std::int64_t proposed = 0;   // what the drafter made of it
  std::int64_t kept = 0;       // what was evaluated, after keep() and a constraint's cut
  std::int64_t evaluated = 0;  // up to and including the first rejection
  std::int64_t accepted = 0;
  std::int64_t rows = 1;  // of the target's pass
  double draft_ms = 0, target_ms = 0, other_ms = 0;
  std::span<const float> confidences = {};    // of the kept guesses
  std::span<const std::int32_t> tokens = {};  // that the round made: with them a window can see
                                              // what guesses were worth that it did not keep
  std::int32_t source = 0;                    // draft::Draft::source
  std::int64_t position = 0;                  // of the first guess in the text

  double round_ms() const noexcept { return draft_ms + target_ms + other_ms; }
};

// Why a length was chosen, for statistics.
struct Choice {
  const char* reason = "";  // a constant
  std::int64_t length = 0;  // that was kept
  double tokens = 1;        // expected of the round
  double round_ms = 0;      // expected
  double plain_ms = 0;      // expected of a round without drafts
  double speedup() const noexcept {
    return round_ms > 0 && plain_ms > 0 ? tokens * plain_ms / round_ms : 1;
  }
};

template <class W>
concept Window = requires(W& window, std::int64_t most, std::int64_t position,
                          const draft::Draft& draft, const Trial& trial) {
  // A new text. What is known of costs stays known.
  {window.begin()};
  // Guesses to ask for, 0 to `most`; 0: a plain round. `position` of the first guess.
  { window.ask(most, position) } -> std::same_as<std::int64_t>;
  // How many of the proposal, which is not empty, to evaluate: 0 to `most`.
  { window.keep(draft, most) } -> std::same_as<std::int64_t>;
  // Of the last round. One that failed is not told of.
  {window.learn(trial)};
  { window.name() } -> std::convertible_to<const char*>;
};

// A window of any type behind one handle. Without one: all that is possible.
class AnyWindow {
 public:
  AnyWindow() noexcept = default;
  template <Window W>
  static Result<AnyWindow> make(W window) noexcept {
    AnyWindow any;
    any.self_.reset(new (std::nothrow) Model<W>(std::move(window)));
    if (any.self_ == nullptr) return fail(Code::out_of_memory, "window", "no memory");
    return any;
  }

  explicit operator bool() const noexcept { return self_ != nullptr; }
  void begin() {
    if (self_ != nullptr) self_->begin();
  }
  std::int64_t ask(std::int64_t most, std::int64_t position) {
    return self_ == nullptr ? most : self_->ask(most, position);
  }
  std::int64_t keep(const draft::Draft& draft, std::int64_t most) {
    return self_ == nullptr ? most : self_->keep(draft, most);
  }
  void learn(const Trial& trial) {
    if (self_ != nullptr) self_->learn(trial);
  }
  const char* name() const noexcept { return self_ == nullptr ? "all" : self_->name(); }
  // Of the last round.
  Choice choice() const noexcept { return self_ == nullptr ? Choice{} : self_->choice(); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void begin() = 0;
    virtual std::int64_t ask(std::int64_t, std::int64_t) = 0;
    virtual std::int64_t keep(const draft::Draft&, std::int64_t) = 0;
    virtual void learn(const Trial&) = 0;
    virtual const char* name() const = 0;
    virtual Choice choice() const = 0;
  };
  template <class W>
  struct Model final : Base {
    explicit Model(W w) : window(std::move(w)) {}
    void begin() override { window.begin(); }
    std::int64_t ask(std::int64_t most, std::int64_t position) override {
      return window.ask(most, position);
    }
    std::int64_t keep(const draft::Draft& draft, std::int64_t most) override {
      return window.keep(draft, most);
    }
    void learn(const Trial& trial) override { window.learn(trial); }
    const char* name() const override { return window.name(); }
    Choice choice() const override {
      if constexpr (requires { window.choice(); }) return window.choice();
      else return {};
    }
    W window;
  };
  std::unique_ptr<Base> self_;
};

}  // namespace kedge::inline KEDGE_ABI::window
