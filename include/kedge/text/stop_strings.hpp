// StopStrings: texts that end a generation. They are looked for in the bytes of the tokens, so one
// may begin in a token's middle, cross any number of tokens and rounds, and end inside a token. The
// text ends before the stop. State is a small value: a copy of it is all that undoing takes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kedge/core/result.hpp"
#include "kedge/spec/stop_matcher.hpp"
#include "kedge/text/tokenizer.hpp"

namespace kedge::inline KEDGE_ABI::text {

// Immutable; a copy is another handle, and any number of threads may use it.
class KEDGE_API StopStrings {
 public:
  // Where a text stands. Bytes are those of the tokens pushed since the state was made.
  struct State {
    std::uint64_t bytes = 0;  // pushed, those of the stop included
    std::uint64_t keep = 0;   // certainly part of the output; the others may become a stop
    std::int64_t tokens = 0;  // pushed; once stopped, the last one is what completed the stop
    std::uint32_t node = 0;   // how much of which stop has been seen
    std::int32_t stop = -1;   // the stop that ended the text, by its place in the list
    bool stopped() const noexcept { return stop >= 0; }
  };
  struct Options {
    bool skip_special = true;  // the output has no special tokens, so they are not matched either
  };

  // No stops: nothing ever matches. Errors: invalid_argument for an empty stop, or more than
  // 2^31 - 1 bytes of them; out_of_memory. The stops are copied.
  static Result<StopStrings> create(Tokenizer tokenizer, std::span<const std::string_view> stops,
                                    Options options) noexcept;
  static Result<StopStrings> create(Tokenizer tokenizer,
                                    std::span<const std::string_view> stops) noexcept {
    return create(std::move(tokenizer), stops, Options{});
  }

  // Adds the token's bytes; true when the text has ended, now or before. Where several stops end at
  // one byte, the one that begins first counts; otherwise the one that ends first. Linear in the
  // bytes on average over a text; allocates nothing.
  bool push(State& state, std::int32_t token) const noexcept;
  bool push(State& state, std::string_view bytes) const noexcept;
  // There is no more text: what was held back is output. Does nothing after a stop.
  void finish(State& state) const noexcept;

  std::size_t longest() const noexcept;  // bytes; no more than these, less one, are held back
  const Tokenizer& tokenizer() const noexcept { return tokenizer_; }
  bool skip_special() const noexcept { return skip_special_; }

 private:
  struct Impl;
  StopStrings(Tokenizer tokenizer, std::shared_ptr<const Impl> impl, bool skip_special) noexcept
      : tokenizer_(std::move(tokenizer)), impl_(std::move(impl)), skip_special_(skip_special) {}
  Tokenizer tokenizer_;
  std::shared_ptr<const Impl> impl_;
  bool skip_special_;
};

// What a session is given: the stops and where the text stands. matcher() refers to this object,
// which must stay where it is as long as the session uses it.
class StopTracker {
 public:
  explicit StopTracker(StopStrings stops) noexcept : stops_(std::move(stops)) {}

  const StopStrings::State& state() const noexcept { return state_; }
  // For a new text, or to go back to a state of this one.
  void reset(const StopStrings::State& state = {}) noexcept { state_ = marked_ = state; }

  StopMatcher matcher() noexcept {
    StopMatcher matcher;
    matcher.context = this;
    matcher.push = [](void* context, std::int32_t token) noexcept {
      auto& tracker = *static_cast<StopTracker*>(context);
      return tracker.stops_.push(tracker.state_, token);
    };
    matcher.mark = [](void* context) noexcept {
      auto& tracker = *static_cast<StopTracker*>(context);
      tracker.marked_ = tracker.state_;
    };
    matcher.undo = [](void* context) noexcept {
      auto& tracker = *static_cast<StopTracker*>(context);
      tracker.state_ = tracker.marked_;
    };
    return matcher;
  }

 private:
  StopStrings stops_;
  StopStrings::State state_, marked_;
};

// Tokens in, text out: whole characters only, and none that may still be part of a stop. After
// create() it allocates nothing.
class KEDGE_API TextStream {
 public:
  static Result<TextStream> create(StopStrings stops) noexcept;

  // The text that has become certain, possibly none. After a stop there is no more. The view is
  // good until the next call.
  std::string_view push(std::int32_t token) noexcept;
  // What was held back and did not become a stop. Afterwards the stream is as new.
  std::string_view finish() noexcept;

  const StopStrings::State& state() const noexcept { return state_; }
  bool stopped() const noexcept { return state_.stopped(); }
  std::size_t held() const noexcept { return held_; }  // bytes, at most longest() + 2

 private:
  TextStream(StopStrings stops, std::unique_ptr<char[]> buffer) noexcept
      : stops_(std::move(stops)), buffer_(std::move(buffer)) {}
  std::string_view give(std::size_t count) noexcept;

  StopStrings stops_;
  std::unique_ptr<char[]> buffer_;  // what is held, and before it what the last call gave
  std::size_t given_ = 0, held_ = 0;
  std::uint64_t out_ = 0;  // bytes given since the beginning
  StopStrings::State state_;
};

}  // namespace kedge::inline KEDGE_ABI::text
