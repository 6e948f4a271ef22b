// PreTokenizer: how text is cut into the pieces that a model works inside of. Steps run one inside
// the other: the first cuts the text, the second each of its pieces, and so on; none sees beyond
// its piece. A step may also put something before its piece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kedge/core/result.hpp"
#include "kedge/text/utf8.hpp"
#include "regex.hpp"

namespace kedge::inline KEDGE_ABI::text {

// What becomes of the matches of an expression and of what lies between them: as the `tokenizers`
// package names it.
enum class Behavior : std::uint8_t {
  isolated,              // each is a piece
  removed,               // matches are dropped
  contiguous,            // neighbouring matches are one piece
  merged_with_previous,  // a match ends the piece before it
  merged_with_next,      // a match begins the piece after it
};

enum class Prefix : std::uint8_t { never, first, always };

class PreTokenizer {
 public:
  void add_split(Regex regex, Behavior behavior, bool invert);
  // A space before a piece that begins with none.
  void add_prefix_space();
  // Spaces become `replacement`, which is also put before a piece that does not begin with it
  // (`first`: only before the very first); then, if `split`, a piece begins at each.
  Status add_metaspace(std::string_view replacement, Prefix prefix, bool split);

 private:
  friend class Splitter;
  enum class Kind : std::uint8_t { split, prefix_space, metaspace };
  struct Step {
    Kind kind{};
    Behavior behavior = Behavior::isolated;
    bool invert = false;
    Prefix prefix = Prefix::never;
    Regex regex;
    std::string replacement;
  };
  std::vector<Step> steps_;
};

// One call's use of a pre-tokenizer: the scratch memory that it needs.
class Splitter {
 public:
  static Result<Splitter> create(const PreTokenizer& pre);

  // Calls sink(piece) -> Status for every piece in order, none of them empty; a piece is good
  // during the call. A run of bytes that are not UTF-8 is one piece. `first`: nothing comes before
  // `text`. Stops at the first error.
  template <class Sink>
  Status split(std::string_view text, bool first, Sink&& sink) {
    while (!text.empty()) {
      const std::size_t valid = utf8_valid_prefix(text);
      if (valid > 0) KEDGE_CHECK(cut(0, text.substr(0, valid), first, sink));
      text.remove_prefix(valid);
      first = false;
      std::size_t invalid = 0;
      while (invalid < text.size() &&
             utf8_step(text.substr(invalid)).kind != Utf8Step::Kind::character) {
        ++invalid;
      }
      if (invalid > 0) KEDGE_CHECK(sink(text.substr(0, invalid)));
      text.remove_prefix(invalid);
    }
    return {};
  }

 private:
  using Range = Matcher::Range;
  struct Scratch {
    std::string text;
    std::vector<Range> ranges;
  };
  explicit Splitter(Matcher matcher) noexcept : matcher_(std::move(matcher)) {}
  // The text that step `at` works on: `text` itself or what it made of it.
  std::string_view change(std::size_t at, std::string_view text, bool first);
  // The pieces of step `at` in its scratch, other than for `isolated`.
  Status collect(std::size_t at, std::string_view text);

  template <class Sink>
  Status cut(std::size_t at, std::string_view text, bool first, Sink&& sink) {
    if (text.empty()) return {};
    if (at == pre_->steps_.size()) return sink(text);
    const PreTokenizer::Step& step = pre_->steps_[at];
    if (step.kind != PreTokenizer::Kind::split) {
      text = change(at, text, first);
      if (step.kind == PreTokenizer::Kind::prefix_space || step.behavior == Behavior::isolated)
        return cut(at + 1, text, first, sink);
    }
    const auto piece = [&](std::size_t begin, std::size_t end) {
      return cut(at + 1, text.substr(begin, end - begin), first && begin == 0, sink);
    };
    if (step.behavior == Behavior::isolated) {
      std::size_t done = 0;
      const auto both = [&](std::size_t begin, std::size_t end) -> Status {
        KEDGE_CHECK(piece(done, begin));
        done = end;
        return piece(begin, end);
      };
      KEDGE_CHECK(each_match(matcher_, step.regex, text, both));
      return piece(done, text.size());
    }
    KEDGE_CHECK(collect(at, text));
    // By index: a deeper step has its own scratch.
    for (std::size_t i = 0; i < scratch_[at].ranges.size(); ++i)
      KEDGE_CHECK(piece(scratch_[at].ranges[i].begin, scratch_[at].ranges[i].end));
    return {};
  }

  const PreTokenizer* pre_ = nullptr;
  Matcher matcher_;
  std::vector<Scratch> scratch_;  // one per step
};

}  // namespace kedge::inline KEDGE_ABI::text
