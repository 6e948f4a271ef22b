// Small random drafts against what speculators' own modules draft with them
// (tests/golden/dspark.py): both layouts, three Markov heads, reduced vocabularies, sliding layers
// causal and not, several rounds with undo between. In F32, keys and values too, so that what is
// left is the rounding of sums.
#include <algorithm>
#include <cmath>

#include "kedge/io/sink.hpp"
#include "unit/dspark_golden.hpp"

namespace kedge::tests {
namespace {

using draft::Ask;
using draft::Draft;
using draft::Dspark;

constexpr double tolerance = 1e-4;

void expect_round(const Golden& golden, std::size_t round, const Dspark& drafter,
                  const Draft& draft, const std::string& what) {
  ASSERT_EQ(draft.size(), static_cast<std::int64_t>(golden.length)) << what;
  for (std::size_t j = 0; j < golden.length; ++j) {
    const std::size_t at = round * golden.length + j;
    EXPECT_EQ(draft.tokens()[j], golden.drafts[at]) << what << ", round " << round << ", " << j;
    const float* expected = golden.logits.data() + at * golden.vocabulary;
    const auto found = drafter.logits(static_cast<std::int64_t>(j));
    ASSERT_EQ(found.size(), golden.vocabulary);
    double worst = 0, largest = 0, sum = 0;
    const float top = *std::max_element(expected, expected + golden.vocabulary);
    for (std::size_t i = 0; i < golden.vocabulary; ++i) {
      sum += std::exp(double{expected[i]} - top);
      worst = std::max(worst, std::fabs(double{found[i]} - expected[i]));
      largest = std::max(largest, std::fabs(double{expected[i]}));
    }
    EXPECT_LE(worst, tolerance * largest) << what << ", round " << round << ", slot " << j;
    // Without a confidence head: the softmax of the guess.
    const double sure = golden.confidences.empty() ? 1 / sum : double{golden.confidences[at]};
    EXPECT_NEAR(draft.confidences()[j], sure, 1e-4) << what;
  }
}

class DsparkGolden : public ::testing::TestWithParam<const char*> {};

// `name` of the files, of what they were computed with.
std::pair<std::string, std::string> names_of(const std::string& name) {
  if (name == "deepspec" || name == "model_optimizer") return {name, "first"};
  if (name == "zlab") return {name, "dflash"};
  if (name.ends_with(".gguf")) return {name, name.substr(0, name.size() - 5)};
  return {name, name};
}

TEST_P(DsparkGolden, DraftsWhatSpeculatorsDrafts) {
  const auto [name, computed] = names_of(GetParam());
  const Golden golden(computed);
  for (const cpu::Isa isa : {cpu::Isa::scalar, cpu::Isa::best})
    for (const std::int64_t pending : {256, 7}) {
      Dspark drafter = make_dspark(name, isa, pending);
      auto draft = *Draft::create({});
      for (std::size_t round = 0; round < golden.rounds; ++round) {
        go_to_round(drafter, golden, round, round % 2 == 0 ? 1000 : 3);
        // What was proposed and not used leaves nothing behind.
        for (int again = 0; again < 2; ++again) {
          draft.clear();
          const Status status = drafter.propose(ask_behind(golden, round, 31), draft);
          ASSERT_TRUE(status) << show(status.error());
          expect_round(golden, round, drafter, draft, GetParam());
        }
      }
    }
}

// Nor are logits computed in whole that nobody asks for.
TEST_P(DsparkGolden, GuessesAreTheSameWithoutTheirLogits) {
  const auto [name, computed] = names_of(GetParam());
  const Golden golden(computed);
  Dspark drafter = make_dspark(name, cpu::Isa::best, 256, false);
  auto draft = *Draft::create({});
  for (std::size_t round = 0; round < golden.rounds; ++round) {
    go_to_round(drafter, golden, round, 1000);
    Ask ask = ask_behind(golden, round, 31);
    ask.confidences = false;
    draft.clear();
    ASSERT_TRUE(drafter.propose(ask, draft));
    ASSERT_EQ(draft.size(), static_cast<std::int64_t>(golden.length));
    EXPECT_TRUE(drafter.logits(0).empty());
    for (std::size_t j = 0; j < golden.length; ++j) {
      const std::size_t at = round * golden.length + j;
      EXPECT_EQ(draft.tokens()[j], golden.drafts[at]) << GetParam() << ", round " << round;
      if (!golden.confidences.empty()) {
        EXPECT_NEAR(draft.confidences()[j], golden.confidences[at], 1e-4);
      }
    }
  }
}

// The trained block runs whatever is asked for.
TEST_P(DsparkGolden, FewerGuessesAreTheFirstOnes) {
  const auto [name, computed] = names_of(GetParam());
  const Golden golden(computed);
  Dspark drafter = make_dspark(name);
  auto draft = *Draft::create({});
  go_to_round(drafter, golden, 0, 1000);
  for (std::size_t count = 1; count < golden.length; ++count) {
    draft.clear();
    ASSERT_TRUE(drafter.propose(ask_behind(golden, 0, std::int64_t(count)), draft));
    ASSERT_EQ(draft.size(), std::int64_t(count));
    for (std::size_t j = 0; j < count; ++j)
      EXPECT_EQ(draft.tokens()[j], golden.drafts[j]) << GetParam();
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, DsparkGolden,
                         ::testing::Values("first", "gated", "rnn", "bonus", "bonus_rnn", "dflash",
                                           "deepspec", "model_optimizer", "zlab", "first.gguf"),
                         [](const auto& param_info) {
                           std::string name = param_info.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

// The block sees hidden states of positions before the anchor only, even if more are known.
TEST(Dspark, TheAnchorsHiddenStateIsNotRead) {
  const Golden golden("first");
  Dspark drafter = make_dspark("first");
  auto draft = *Draft::create({});
  const std::int64_t anchor = golden.anchors[0];
  ASSERT_TRUE(drafter.begin(golden.text(0, anchor + 1)));
  ASSERT_TRUE(drafter.evaluated(0, golden.rows(0, anchor + 1)));
  ASSERT_TRUE(drafter.propose(ask_behind(golden, 0, 31), draft));
  expect_round(golden, 0, drafter, draft, "with the anchor's");
}

// Hidden states that come again replace what was known from there on.
TEST(Dspark, LaterStatesReplaceEarlierOnes) {
  const Golden golden("gated");
  Dspark drafter = make_dspark("gated");
  auto draft = *Draft::create({});
  const std::int64_t anchor = golden.anchors[1];
  ASSERT_TRUE(drafter.begin(golden.text(0, anchor + 1)));
  ASSERT_TRUE(drafter.evaluated(0, golden.rows(0, 10)));
  ASSERT_TRUE(drafter.evaluated(10, golden.rows(50, 66)));  // of another text
  ASSERT_TRUE(drafter.propose(ask_behind(golden, 1, 31), draft));
  ASSERT_TRUE(drafter.truncate(12));
  ASSERT_TRUE(drafter.append(golden.text(12, anchor + 1)));
  ASSERT_TRUE(drafter.evaluated(10, golden.rows(10, anchor)));
  draft.clear();
  ASSERT_TRUE(drafter.propose(ask_behind(golden, 1, 31), draft));
  expect_round(golden, 1, drafter, draft, "after other states");
}

// A text that was cut behind what is context already: a round without guesses, then as ever.
TEST(Dspark, GoesOnBehindACut) {
  const Golden golden("bonus");
  Dspark drafter = make_dspark("bonus");
  auto draft = *Draft::create({});
  ASSERT_TRUE(drafter.begin(golden.text(0, 60)));
  ASSERT_TRUE(drafter.evaluated(0, golden.rows(0, 59)));
  Ask ask = ask_behind(golden, 0, 31);
  ask.position = 60;
  ASSERT_TRUE(drafter.propose(ask, draft));
  const std::int64_t anchor = golden.anchors[1];
  ASSERT_TRUE(drafter.truncate(anchor));  // its newest token's own state is in the context
  draft.clear();
  ask.position = anchor;
  ASSERT_TRUE(drafter.propose(ask, draft));
  EXPECT_EQ(draft.size(), 0);
  ASSERT_TRUE(drafter.append(golden.text(anchor, anchor + 1)));
  ASSERT_TRUE(drafter.propose(ask_behind(golden, 1, 31), draft));
  expect_round(golden, 1, drafter, draft, "behind a cut");
}

TEST(Dspark, MissingStatesAreErrorsThatNameThePosition) {
  const Golden golden("first");
  Dspark drafter = make_dspark("first");
  auto draft = *Draft::create({});
  ASSERT_TRUE(drafter.begin(golden.text(0, 22)));
  ASSERT_TRUE(drafter.evaluated(0, golden.rows(0, 15)));
  Status status = drafter.propose(ask_behind(golden, 0, 3), draft);
  ASSERT_FALSE(status);
  EXPECT_NE(std::strstr(status.error().reason, "positions 15..20"), nullptr)
      << status.error().reason;
  status = drafter.evaluated(17, golden.rows(17, 21));
  ASSERT_FALSE(status);
  EXPECT_NE(std::strstr(status.error().reason, "from position 15 on, found 17"), nullptr);
  const float one = 0;
  status = drafter.evaluated(15, tensor(&one, Element::f32, 1, 1));
  ASSERT_FALSE(status);
  EXPECT_NE(std::strstr(status.error().reason, "width 96"), nullptr) << status.error().reason;
}

TEST(Dspark, StopsWhereItIsNotSureEnough) {
  const Golden golden("first");
  Dspark drafter = make_dspark("first");
  auto draft = *Draft::create({});
  go_to_round(drafter, golden, 0, 1000);
  Ask ask = ask_behind(golden, 0, 31);
  const auto first = golden.confidences.begin();
  const auto last = first + std::ptrdiff_t(golden.length);
  ask.least_confidence = *std::min_element(first + 1, last) + 1e-3f;
  std::int64_t expected = 0;
  while (expected < std::int64_t(golden.length) && first[expected] >= ask.least_confidence)
    ++expected;
  ASSERT_LT(expected, std::int64_t(golden.length));
  ASSERT_TRUE(drafter.propose(ask, draft));
  EXPECT_EQ(draft.size(), expected);
}

// A NaN in a hidden state reaches every slot; the error names the first.
TEST(Dspark, NansAreErrorsThatNameTheSlot) {
  Golden golden("bonus");
  golden.features[5 * golden.width + 3] = std::nanf("");
  Dspark drafter = make_dspark("bonus");
  auto draft = *Draft::create({});
  go_to_round(drafter, golden, 0, 1000);
  const Status status = drafter.propose(ask_behind(golden, 0, 3), draft);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::numeric);
  EXPECT_NE(std::strstr(status.error().reason, "slot 1 at position 22"), nullptr)
      << status.error().reason;
}

}  // namespace
}  // namespace kedge::tests
