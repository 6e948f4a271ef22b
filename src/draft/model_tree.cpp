// Trees of a draft model's guesses, level by level. Every pass evaluates the newest token and all
// guesses of the tree so far whose followers are of interest, and is undone again: nothing has to
// be known of a branch but its tokens, and rows that are added to a pass cost little.
//
// A guess's chance is the product of the confidences on its way, so guesses behind it have less:
// only those among the `count` likeliest so far are worth asking what follows them, and at the end
// the `count` likeliest are a tree. Nor are those worth a row that are much less likely than the
// best of their level, whose followers will push theirs out.
#include <algorithm>
#include <new>

#include "draft/model_impl.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

constexpr double least_chance = 1 / 256.0;  // a guess that holds so seldom is not worth its row

constexpr double least_share = 0.1;  // of the likeliest of its level

}  // namespace

Status DraftModel::Impl::make_tree_room() noexcept {
  const auto length = static_cast<std::size_t>(options.length);
  // Behind the newest token and each guess that is evaluated.
  const std::size_t most =
      static_cast<std::size_t>(forward.max_rows()) * static_cast<std::size_t>(options.branches);
  KEDGE_TRY(tree_memory, Buffer::create(most * (sizeof(Guess) + sizeof(std::int32_t)) +
                                            (length + 1) * sizeof(std::int32_t),
                                        "draft model", options.allocator));
  std::byte* at = tree_memory.data();
  guesses = {new (at) Guess[most], most};
  at += most * sizeof(Guess);
  order = {new (at) std::int32_t[most], most};
  path = {new (at + most * sizeof(std::int32_t)) std::int32_t[length + 1], length + 1};
  return {};
}

// The tokens from behind the text up to a guess.
std::span<const std::int32_t> DraftModel::Impl::path_to(std::int32_t guess) noexcept {
  if (guess < 0) return {};
  const auto depth = static_cast<std::size_t>(guesses[static_cast<std::size_t>(guess)].depth);
  for (std::size_t at = depth; at > 0; --at) {
    const Guess& g = guesses[static_cast<std::size_t>(guess)];
    path[at - 1] = g.token;
    guess = g.parent;
  }
  return path.first(depth);
}

// What may follow a guess, or the text (-1), whose logits are the pass's `output`-th.
Status DraftModel::Impl::grow(const Ask& ask, std::int32_t parent, std::int64_t output) noexcept {
  Drawing::Ranked ranked[64];
  const auto most = std::min<std::size_t>(static_cast<std::size_t>(options.branches),
                                          guesses.size() - static_cast<std::size_t>(made));
  KEDGE_TRY(const std::int64_t count,
            drawing.rank(forward.logits(output), ask, text(), path_to(parent), {ranked, most}));
  const Guess* behind = parent < 0 ? nullptr : &guesses[static_cast<std::size_t>(parent)];
  for (std::int64_t i = 0; i < count; ++i) {
    const Drawing::Ranked& r = ranked[i];
    const double chance =
        (behind == nullptr ? 1.0 : behind->chance) * static_cast<double>(r.chance);
    if (chance < least_chance || r.chance < ask.least_confidence) continue;
    guesses[static_cast<std::size_t>(made++)] = {
        chance, r.chance, r.token, parent, behind == nullptr ? 1 : behind->depth + 1, 0, -1};
  }
  return {};
}

// Puts the likeliest `count` guesses first in the order; of equal ones those made first, so that a
// guess stands before what follows it.
void DraftModel::Impl::rank(std::int64_t count) noexcept {
  const auto all = order.first(static_cast<std::size_t>(made));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(count, made)),
                    all.end(), [&](std::int32_t a, std::int32_t b) {
                      const double x = guesses[static_cast<std::size_t>(a)].chance,
                                   y = guesses[static_cast<std::size_t>(b)].chance;
                      return x > y || (x == y && a < b);
                    });
}

// Evaluates the guesses of a level that are among the likeliest, behind those of the levels before.
// False: there are none, or a NaN is behind one of them.
Result<bool> DraftModel::Impl::deepen(std::int32_t depth, std::int64_t count,
                                      std::int64_t& evaluated) noexcept {
  rank(count);
  const std::int64_t before = evaluated;
  // What the pass, the cache and the recurrent state have room for, beside the newest token.
  const std::int64_t most = std::min({2 * options.length + 1, cache.positions() - sequence.length(),
                                      sequence.tree_rows(), before + forward.max_outputs() + 1}) -
                            1;
  double best = 0;
  for (std::int64_t i = 0; i < std::min(count, made) && evaluated < most; ++i) {
    Guess& g = guesses[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])];
    if (g.depth != depth) continue;
    best = std::max(best, g.chance);
    if (g.chance < least_share * best) break;
    Row& row = rows[static_cast<std::size_t>(++evaluated)];
    row = row_of(g.token, size - 1 + depth, Need::logits);
    row.parent = g.parent < 0 ? 0 : guesses[static_cast<std::size_t>(g.parent)].row;
    g.row = static_cast<std::int32_t>(evaluated);
  }
  if (evaluated == before) return false;
  for (std::int64_t i = 0; i <= before; ++i) rows[static_cast<std::size_t>(i)].need = Need::none;
  KEDGE_TRY([[maybe_unused]] const Transaction undone, sequence.begin_tree(evaluated + 1));
  const Status done = forward.run(rows.first(static_cast<std::size_t>(evaluated + 1)));
  work.guess_rows += evaluated;
  if (!done && done.error().code == Code::numeric) return false;
  KEDGE_CHECK(done);
  return true;
}

Status DraftModel::Impl::propose_tree(const Ask& ask, std::int64_t count, Draft& draft) noexcept {
  KEDGE_CHECK(catch_up(false));
  made = 0;
  KEDGE_CHECK(grow(ask, -1, 0));
  rows[0] = row(size - 1, Need::none);
  std::int64_t evaluated = 0;
  for (std::int32_t depth = 1; depth < count; ++depth) {
    const std::int64_t before = evaluated;
    KEDGE_TRY(const bool deeper, deepen(depth, count, evaluated));
    if (!deeper) break;
    const std::int64_t known = made;
    for (std::int64_t i = 0; i < known; ++i) {
      const std::int64_t row = guesses[static_cast<std::size_t>(i)].row;
      if (row > before) KEDGE_CHECK(grow(ask, static_cast<std::int32_t>(i), row - before - 1));
    }
  }
  rank(count);
  for (std::int64_t i = 0; i < std::min(count, made); ++i) {
    Guess& g = guesses[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])];
    const std::int64_t parent =
        g.parent < 0 ? -1 : guesses[static_cast<std::size_t>(g.parent)].place;
    g.place = static_cast<std::int32_t>(draft.size());
    draft.push_behind(parent, g.token, g.confidence);
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::draft
