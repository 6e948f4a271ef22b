// Adaptive: grows the window while drafts hold, shrinks it where they break off early, and stops
// drafting for a while when that does not help. The rules are those that draft windows of layer
// packages have (io/package.hpp), of which two are mended here: min and max are bounds of the
// window at all times, and an early rejection shrinks it to what held and one more, not by one.
// After the circuit breaker has opened, a try follows after a pause; each failed try doubles the
// pause.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kedge/spec/cost_model.hpp"
#include "kedge/spec/window.hpp"

namespace kedge::inline KEDGE_ABI::window {

class Adaptive {
 public:
  struct Options {
    std::int64_t initial = 4, min = 1, max = 16;
    // The breaker opens when, of at least `windows` drafts and twice as many guesses lately, fewer
    // than `least_accepted` of the evaluated ones held, or a token took longer than in plain
    // rounds.
    std::int64_t windows = 4;
    double least_accepted = 0.3;
    std::int64_t pause = 16, longest_pause = 256;  // rounds
  };

  static Result<Adaptive> create(const Options& o) noexcept {
    if (o.min < 1 || o.min > o.initial || o.initial > o.max || o.max > 31)
      return fail(Code::invalid_argument, "adaptive window",
                  "expected 1 <= min <= initial <= max <= 31, found min %lld, initial %lld, max "
                  "%lld",
                  static_cast<long long>(o.min), static_cast<long long>(o.initial),
                  static_cast<long long>(o.max));
    if (o.windows < 1 || !(o.least_accepted >= 0 && o.least_accepted <= 1) || o.pause < 1 ||
        o.longest_pause < o.pause)
      return fail(Code::invalid_argument, "adaptive window",
                  "expected windows of 1 or more, least_accepted of 0 to 1 and 1 <= pause <= "
                  "longest_pause, found %lld, %g, %lld, %lld",
                  static_cast<long long>(o.windows), o.least_accepted,
                  static_cast<long long>(o.pause), static_cast<long long>(o.longest_pause));
    Adaptive adaptive;
    adaptive.options_ = o;
    adaptive.begin();
    return adaptive;
  }

  void begin() noexcept {
    window_ = options_.initial;
    paused_ = 0;
    pause_ = options_.pause;
    trying_ = false;
    forget();
  }
  std::int64_t ask(std::int64_t most, std::int64_t) noexcept {
    if (paused_ > 0) return 0;
    return std::min(most, window_);
  }
  std::int64_t keep(const draft::Draft& draft, std::int64_t most) noexcept {
    return std::min({most, window_, draft.size()});
  }
  void learn(const Trial& t) noexcept {
    choice_ = {paused_ > 0 ? "breaker open"
               : trying_   ? "trying again"
                           : "window",
               t.kept, static_cast<double>(1 + t.accepted), t.round_ms(), plain_ms_};
    if (t.rows == 1 && t.asked == 0)
      plain_ms_ = plain_ms_ > 0 ? 0.9 * plain_ms_ + 0.1 * t.round_ms() : t.round_ms();
    if (paused_ > 0) {
      if (--paused_ == 0) {
        trying_ = true;
        window_ = options_.min;
        forget();
      }
      return;
    }
    if (t.kept == 0) return;
    if (t.accepted + 1 >= t.kept) window_ = std::min(window_ + 1, options_.max);
    else window_ = std::clamp(t.accepted + 1, options_.min, window_);
    ++drafts_;
    guesses_ += t.kept;
    evaluated_ += t.evaluated;
    accepted_ += t.accepted;
    tokens_ += 1 + t.accepted;
    ms_ += t.round_ms();
    if (drafts_ < options_.windows || guesses_ < 2 * options_.windows) return;
    const bool fails =
        static_cast<double>(accepted_) < options_.least_accepted * static_cast<double>(evaluated_);
    const bool slow = plain_ms_ > 0 && ms_ > plain_ms_ * static_cast<double>(tokens_);
    if (fails || slow) {
      if (trying_) pause_ = std::min(2 * pause_, options_.longest_pause);
      paused_ = pause_;
    } else {
      trying_ = false;
      pause_ = options_.pause;
    }
    forget();
  }
  const char* name() const noexcept { return "adaptive"; }
  Choice choice() const noexcept { return choice_; }
  std::int64_t window() const noexcept { return window_; }
  bool open() const noexcept { return paused_ > 0; }

 private:
  Adaptive() noexcept = default;
  void forget() noexcept {
    drafts_ = guesses_ = evaluated_ = accepted_ = tokens_ = 0;
    ms_ = 0;
  }

  Options options_;
  std::int64_t window_ = 0, paused_ = 0, pause_ = 0;
  bool trying_ = false;
  std::int64_t drafts_ = 0, guesses_ = 0, evaluated_ = 0, accepted_ = 0, tokens_ = 0;
  double ms_ = 0, plain_ms_ = 0;
  Choice choice_;
};

}  // namespace kedge::inline KEDGE_ABI::window
