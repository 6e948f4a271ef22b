// What a draft model is made of. Private to the compiled library.
#pragma once

#include "draft/drawing.hpp"
#include "kedge/draft/model.hpp"
#include "kedge/state/sequence.hpp"

namespace kedge::inline KEDGE_ABI::draft {

// Places of one level of a tree whose followers are asked for, at most: so many rows of logits.
constexpr std::int64_t widest_level = 8;

struct DraftModel::Impl {
  Options options;
  KvCache cache;
  RecurrentState recurrent;
  Forward forward;
  Sequence sequence;
  Drawing drawing;
  Buffer memory;
  // Target ids: the text, and behind it the guesses that were evaluated.
  std::span<std::int32_t> tokens;
  std::span<std::int32_t> to_draft;
  std::span<Row> rows;
  std::int64_t size = 0;  // of the text
  Work work;
  // Of a tree.
  struct Guess {
    double chance = 0;  // that it holds and all before it do
    float confidence = 0;
    std::int32_t token = 0, parent = -1;  // -1: the newest token of the text
    std::int32_t depth = 0, row = 0;      // row: of the pass, where it is evaluated; else 0
    std::int32_t place = -1;              // in the draft, where it is among the best
  };
  Buffer tree_memory;
  std::span<Guess> guesses;
  std::span<std::int32_t> order, path;
  std::int64_t made = 0;  // of guesses

  std::span<const std::int32_t> text() const noexcept {
    return tokens.first(static_cast<std::size_t>(size));
  }
  Row row_of(std::int32_t token, std::int64_t position, Need need) const noexcept {
    Row row{token, static_cast<std::int32_t>(position), sequence.index(), need};
    if (to_draft.empty()) return row;
    row.token = token >= 0 && token < std::ssize(to_draft)
                    ? to_draft[static_cast<std::size_t>(token)]
                    : options.filler;
    return row;
  }
  Row row(std::int64_t position, Need need) const noexcept {
    return row_of(tokens[static_cast<std::size_t>(position)], position, need);
  }
  Status take_in(std::span<const std::int32_t> fresh) noexcept;
  Status keep(std::int64_t length) noexcept;
  Status evaluate(std::int64_t first, std::int64_t count, Need last, std::int64_t kept) noexcept;
  Status catch_up(bool keep_newest) noexcept;
  Status propose_chain(const Ask& ask, std::int64_t count, Draft& draft) noexcept;

  Status make_tree_room() noexcept;
  Status propose_tree(const Ask& ask, std::int64_t count, Draft& draft) noexcept;
  Status grow(const Ask& ask, std::int32_t parent, std::int64_t output) noexcept;
  std::span<const std::int32_t> path_to(std::int32_t guess) noexcept;
  void rank(std::int64_t count) noexcept;
  Result<bool> deepen(std::int32_t depth, std::int64_t count, std::int64_t& evaluated) noexcept;
};

}  // namespace kedge::inline KEDGE_ABI::draft
