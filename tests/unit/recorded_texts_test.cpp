// Drafters on what a model really said (tests/golden/greedy_texts.py): how many tokens a round
// gives, and whether guesses hold as often as their confidence says.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>

#include "kedge/draft/cache.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/draft/map_k.hpp"
#include "kedge/draft/map_k4v.hpp"
#include "kedge/draft/mod.hpp"
#include "kedge/draft/suffix.hpp"
#include "unit/ngram_support.hpp"

namespace kedge::tests {
namespace {

using namespace draft;

struct Recorded {
  std::string category;
  Tokens prompt, text;
};

const std::vector<Recorded>& recorded() {
  static const auto texts = [] {
    std::vector<Recorded> all;
    std::ifstream file(KEDGE_GOLDEN_DIR "/prompts/smollm2_greedy.txt");
    const auto read = [&](Tokens& tokens) {
      std::size_t count = 0;
      file >> count;
      tokens.resize(count);
      for (std::int32_t& token : tokens) file >> token;
    };
    for (Recorded one; file >> one.category; all.push_back(one)) read(one.prompt), read(one.text);
    EXPECT_EQ(all.size(), 45u);
    return all;
  }();
  return texts;
}

struct Found {
  std::int64_t rounds = 0, rows = 0, accepted = 0;
  double error = 0;  // of confidences: expected calibration error over ten bins

  double tau() const { return 1 + static_cast<double>(accepted) / static_cast<double>(rounds); }
};

// Rounds over all texts, as a session that accepts what the text says would run them.
template <class Make>
Found run(const char* name, Make make, bool tree = false) {
  Found found;
  std::array<std::array<double, 3>, 10> bins{};  // guesses, their confidences, those that held
  Draft draft = *Draft::create({.capacity = 16});
  for (const Recorded& one : recorded()) {
    auto drafter = make();
    EXPECT_TRUE(drafter.begin(one.prompt) && drafter.append(first(one.text, 1)));
    for (std::size_t at = 1; at < one.text.size();) {
      draft.clear();
      EXPECT_TRUE(drafter.propose({.count = 16, .tree = tree}, draft));
      std::int64_t branch = -1;
      std::size_t held = 0;
      for (std::int64_t i = 0; i < draft.size(); ++i) {
        const auto g = static_cast<std::size_t>(i);
        if (draft.parents()[g] != branch || at + held == one.text.size()) continue;
        const double confidence = static_cast<double>(draft.confidences()[g]);
        const bool holds = draft.tokens()[g] == one.text[at + held];
        auto& bin = bins[std::min(std::size_t{9}, static_cast<std::size_t>(10 * confidence))];
        bin[0] += 1, bin[1] += confidence, bin[2] += holds ? 1 : 0;
        if (holds) branch = i, ++held;
      }
      const std::size_t fresh = std::min(held + 1, one.text.size() - at);
      EXPECT_TRUE(drafter.append(std::span(one.text).subspan(at, fresh)));
      drafter.feedback({16, static_cast<std::int64_t>(held) + 1, static_cast<std::int64_t>(held)});
      at += fresh;
      ++found.rounds;
      found.rows += draft.size();
      found.accepted += static_cast<std::int64_t>(fresh) - 1;
    }
  }
  double guesses = 0;
  for (const auto& bin : bins) guesses += bin[0], found.error += std::fabs(bin[1] - bin[2]);
  found.error /= guesses;
  std::printf("             %-14s tau %.3f, %.1f guesses a round, calibration error %.3f\n", name,
              found.tau(), static_cast<double>(found.rows) / static_cast<double>(found.rounds),
              found.error);
  return found;
}

TEST(RecordedTexts, EveryKindFindsSomethingAndKnowsHowSureItIs) {
  const Found found[] = {
      run("lookup", [] { return *Lookup::create({.length = 16}); }),
      run("map-k", [] { return *MapK::create({.key = 4}); }),
      run("map-k4v", [] { return *MapK4v::create({.key = 4}); }),
      run("mod", [] { return *Mod::create({.length = 16, .key = 4}); }),
      run("cache", [] { return *Cache::create({.length = 16}); }),
      run("suffix", [] { return *Suffix::create({}); }),
  };
  for (const Found& f : found) {
    EXPECT_GT(f.tau(), 1.35);
    EXPECT_LT(f.error, 0.06);
  }
  // The suffix drafter is the others' better: it looks at all that they look at.
  for (const Found& f : found) EXPECT_GE(found[5].tau(), f.tau());
}

TEST(RecordedTexts, ATreeGivesMoreThanAChainOfAsManyGuesses) {
  for (const std::int64_t length : {4, 8, 16}) {
    const auto make = [&] { return *Suffix::create({.length = length}); };
    const Found chain = run("suffix chain", make), tree = run("suffix tree", make, true);
    EXPECT_GT(tree.tau(), chain.tau()) << length;
    EXPECT_LT(tree.error, 0.06);
  }
}

}  // namespace
}  // namespace kedge::tests
