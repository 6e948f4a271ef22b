// A drafter whose guesses branch at random, the true ones among others.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

#include "kedge/draft/drafter.hpp"

namespace kedge::tests {

// Knows the text and hides some of what comes next among other guesses.
struct Thicket {
  struct Seen {
    std::vector<std::int32_t> tokens, parents;
  };
  const std::vector<std::int32_t>* text = nullptr;
  std::int32_t vocabulary = 0;
  std::uint64_t seed = 3;
  std::shared_ptr<Seen> seen;  // the last proposal
  std::int64_t size = 0;
  std::mt19937_64 rng{seed};

  Status begin(std::span<const std::int32_t> tokens) {
    size = 0;
    return append(tokens);
  }
  Status append(std::span<const std::int32_t> tokens) {
    size += static_cast<std::int64_t>(tokens.size());
    return {};
  }
  Status truncate(std::int64_t count) {
    size = count;
    return {};
  }
  Status propose(const draft::Ask& ask, draft::Draft& draft) {
    EXPECT_TRUE(ask.tree);
    const auto nodes = static_cast<std::int64_t>(rng() % static_cast<unsigned>(ask.count + 1));
    std::int64_t true_leaf = -1, true_depth = 0;
    const auto true_most = static_cast<std::int64_t>(rng() % 6);
    for (std::int64_t i = 0; i < nodes; ++i) {
      const auto next = static_cast<std::size_t>(size + true_depth);
      if (true_depth < true_most && next < text->size() && rng() % 2 == 0) {
        draft.push_behind(true_leaf, (*text)[next], 0.5f);
        true_leaf = i;
        ++true_depth;
      } else {
        // A wrong one somewhere; behind the true branch another token than the true one.
        const auto parent = static_cast<std::int64_t>(rng() % static_cast<unsigned>(i + 1)) - 1;
        std::int32_t token = static_cast<std::int32_t>(rng() % static_cast<unsigned>(vocabulary));
        if (next < text->size() && token == (*text)[next]) token = (token + 1) % vocabulary;
        draft.push_behind(parent, token);
      }
    }
    seen->tokens.assign(draft.tokens().begin(), draft.tokens().end());
    seen->parents.assign(draft.parents().begin(), draft.parents().end());
    return {};
  }
  void feedback(const draft::Outcome&) noexcept {}
  const char* name() const noexcept { return "thicket"; }
};

}  // namespace kedge::tests
