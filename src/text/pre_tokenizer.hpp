// Pre-tokenizers: how text is cut into the pieces that BPE merges inside of. Each is a row of a
// table: a name, as GGUF's tokenizer.ggml.pre has it, and one or more regular expressions. The
// first cuts the text, the second cuts each piece, and so on; what an expression matches is a
// piece, and so is what lies between two matches. An expression never sees beyond its piece.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "kedge/core/result.hpp"
#include "kedge/text/utf8.hpp"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_real_jit_stack_8;

namespace kedge::inline KEDGE_ABI::text {

struct PreTokenizerRow {
  const char* name;
  const char* expressions[4];  // ends at the first null
  bool whole_words;            // a piece that is a token is that token, whatever the merges say
  bool add_bos;                // what this family does when the file does not say
};

// Compiled expressions of one row; immutable.
class PreTokenizer {
 public:
  static Result<PreTokenizer> create(std::string_view name);
  const PreTokenizerRow& row() const noexcept { return *row_; }

 private:
  friend class Splitter;
  struct FreeCode {
    void operator()(pcre2_real_code_8* code) const noexcept;
  };
  const PreTokenizerRow* row_ = nullptr;
  std::vector<std::unique_ptr<pcre2_real_code_8, FreeCode>> expressions_;
};

// One call's use of a pre-tokenizer: the scratch memory that matching needs. (Containers of both
// classes may run out of memory; the tokenizer turns that into an error at its boundary.)
class Splitter {
 public:
  static Result<Splitter> create(const PreTokenizer& pre);

  // Calls sink(piece) -> Status for every piece in order; the pieces together are `text`. A run of
  // bytes that are not UTF-8 is one piece. Stops at the first error.
  template <class Sink>
  Status split(std::string_view text, Sink&& sink) {
    while (!text.empty()) {
      const std::size_t valid = utf8_valid_prefix(text);
      if (valid > 0) KEDGE_CHECK(cut(0, text.substr(0, valid), sink));
      text.remove_prefix(valid);
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
  struct FreeMatch {
    void operator()(pcre2_real_match_data_8* match) const noexcept;
  };
  struct FreeContext {
    void operator()(pcre2_real_match_context_8* context) const noexcept;
  };
  struct FreeStack {
    void operator()(pcre2_real_jit_stack_8* stack) const noexcept;
  };
  struct Range {
    std::size_t begin, end;
  };
  // The next match at or after `from`; {size, size} when there is none.
  Result<Range> match(std::size_t step, std::string_view text, std::size_t from) const noexcept;

  template <class Sink>
  Status cut(std::size_t step, std::string_view text, Sink&& sink) {
    if (step == pre_->expressions_.size()) return sink(text);
    for (std::size_t done = 0; done < text.size();) {
      KEDGE_TRY(const Range found, match(step, text, done));
      if (found.begin > done)
        KEDGE_CHECK(cut(step + 1, text.substr(done, found.begin - done), sink));
      if (found.end > found.begin) {
        KEDGE_CHECK(cut(step + 1, text.substr(found.begin, found.end - found.begin), sink));
      }
      done = found.end;
    }
    return {};
  }

  const PreTokenizer* pre_ = nullptr;
  std::unique_ptr<pcre2_real_jit_stack_8, FreeStack> stack_;
  std::unique_ptr<pcre2_real_match_context_8, FreeContext> context_;
  std::vector<std::unique_ptr<pcre2_real_match_data_8, FreeMatch>> matches_;  // one per expression
};

}  // namespace kedge::inline KEDGE_ABI::text
