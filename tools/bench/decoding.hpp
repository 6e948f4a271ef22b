// Decoding of one prompt in slices, so that two sessions can take turns every few tokens: a shared
// machine's memory changes its speed by a tenth from one second to the next, which slices of tens
// of milliseconds meet alike and whole texts do not.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "common/failure.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tools {

class Decoding {
 public:
  // Evaluates the prompt, which no time is taken of. The end tokens must outlive this object.
  Decoding(Session& session, std::span<const std::int32_t> prompt, std::int64_t max_tokens,
           std::span<const std::int32_t> end_tokens)
      : session_(session), most_(max_tokens), ends_(end_tokens) {
    take(must(session.begin(prompt)));
  }
  bool done() const { return done_; }
  std::int64_t made() const { return static_cast<std::int64_t>(tokens_.size()); }
  const std::vector<std::int32_t>& tokens() const { return tokens_; }
  double ms() const { return session_.stats().decode_ms(); }

  // Rounds until there are `count` tokens, or more by the last one's, or the text has ended.
  void until(std::int64_t count) {
    while (!done_ && made() < count) {
      const Session::Round round = must(session_.round(most_ - made(), ends_));
      done_ = round.tokens.empty() || round.stop != StopReason::none;
      for (const std::int32_t token : round.tokens) take(token);
    }
  }

 private:
  void take(std::int32_t token) {
    tokens_.push_back(token);
    done_ = done_ || made() >= most_ || std::find(ends_.begin(), ends_.end(), token) != ends_.end();
  }

  Session& session_;
  std::int64_t most_;
  std::span<const std::int32_t> ends_;
  std::vector<std::int32_t> tokens_;
  bool done_ = false;
};

// Both to their ends, `slice` tokens in turn; the first begins every other slice.
inline void take_turns(Decoding& first, Decoding& second, std::int64_t slice) {
  bool swap = false;
  for (std::int64_t to = slice; !first.done() || !second.done(); to += slice, swap = !swap)
    for (const bool second_now : {swap, !swap}) (second_now ? second : first).until(to);
}

}  // namespace kedge::tools
