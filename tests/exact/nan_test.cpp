// A NaN among a model's weights is an error that names the position, and only where it is met.
#include <gtest/gtest.h>

#include <limits>

#include "exact/session_errors.hpp"
#include "kedge/draft/scripted.hpp"
#include "support/weight_elements.hpp"

namespace kedge::tests {
namespace {

// A NaN in one weight of each kind of matrix: the pass fails and names the position; a session on
// a good model is not disturbed, and the one that failed can begin again with tokens that do not
// meet the NaN.
TEST_F(SessionErrors, ANanInAWeight) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const char* name : {"blk.0.attn_q.weight", "blk.1.attn_v.weight", "blk.0.ffn_down.weight",
                           "blk.1.ffn_norm.weight", "output.weight", "output_norm.weight"}) {
    TinyFile file = make_tiny(spec_);
    std::memcpy(file.tensor(name).bytes.data() + 4 * 11, &nan, 4);
    auto model = load_bytes(file.write(), nullptr, /*check_weights=*/false);
    ASSERT_TRUE(model) << show(model.error());
    auto session = Session::create(*model, {});
    ASSERT_TRUE(session);
    EXPECT_TRUE(fails_with(session->begin(prompt_), Code::numeric, {"NaN", "position 19"})) << name;
    EXPECT_EQ(session->length(), 0) << name;
    EXPECT_TRUE(fails_with(session->round(1), Code::invalid_argument, {"begin"})) << name;
  }
  // In the embedding of one token only: fails in the round that evaluates it.
  TinyFile file = make_tiny(spec_);
  std::vector<std::int32_t> before = prompt_;
  std::size_t at = 0;  // of a generated token that does not occur before, the first one apart
  for (; at < expected_.tokens.size(); ++at) {
    if (at > 0 && std::count(before.begin(), before.end(), expected_.tokens[at]) == 0) break;
    before.push_back(expected_.tokens[at]);
  }
  ASSERT_LT(at, expected_.tokens.size()) << "choose another seed";
  const std::int32_t bad = expected_.tokens[at];
  TinyTensor& embedding = file.tensor("token_embd.weight");
  std::memcpy(embedding.bytes.data() +
                  static_cast<std::size_t>(bad) * 4 * static_cast<std::size_t>(spec_.width),
              &nan, 4);
  auto model = load_bytes(file.write(), nullptr, /*check_weights=*/false);
  ASSERT_TRUE(model);
  auto session = Session::create(*model, {});
  ASSERT_TRUE(session);
  for (int again = 0; again < 2; ++again) {
    ASSERT_TRUE(session->begin(prompt_));
    for (std::size_t i = 1; i <= at; ++i) {
      auto round = session->round(1);
      ASSERT_TRUE(round) << show(round.error());
      EXPECT_EQ(round->tokens[0], expected_.tokens[i]);
    }
    const std::int64_t length = session->length();
    // On error nothing of the round has happened, so it may be tried again, with the same answer.
    for (int i = 0; i < 2; ++i)
      EXPECT_TRUE(fails_with(session->round(1), Code::numeric,
                             {"NaN", ("position " + std::to_string(length)).c_str()}));
    EXPECT_EQ(session->length(), length);
    EXPECT_EQ(session->stats().rounds, static_cast<std::int64_t>(at));
  }
}

TEST_F(SessionErrors, ANanInAQuantizedWeight) {
  for (const Element element : cases::weight_elements) {
    if (!is_quantized(element)) continue;
    TinyFile file = make_tiny(tiny_spec(element, 6));
    TinyTensor& q = file.tensor("blk.0.ffn_gate.weight");
    ASSERT_EQ(q.element, element);
    const std::uint16_t nan = 0x7E00;  // as the scale of the first block
    std::memcpy(q.bytes.data() + (element == Element::q6_k ? 208 : 0), &nan, 2);
    auto model = load_bytes(file.write(), nullptr, /*check_weights=*/false);
    ASSERT_TRUE(model) << show(model.error());
    auto session = Session::create(*model, {});
    ASSERT_TRUE(session);
    const auto prompt = random_tokens(3, 20, file.spec.vocabulary);
    EXPECT_TRUE(fails_with(session->begin(prompt), Code::numeric, {"NaN", "position 19"}))
        << to_string(element);
  }
}

// Rows behind the first rejected draft hold whatever they hold. A NaN behind drafts that held ends
// the round before it; the next round meets it, as plain decoding does.
TEST_F(SessionErrors, ANanBehindARejectedDraftHarmsNobody) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // A token that neither prompt nor text has, whose embedding holds a NaN.
  std::vector<std::int32_t> seen = prompt_;
  seen.insert(seen.end(), expected_.tokens.begin(), expected_.tokens.end());
  std::int32_t bad = 0;
  while (std::count(seen.begin(), seen.end(), bad) > 0) ++bad;
  TinyFile file = make_tiny(spec_);
  std::memcpy(file.tensor("token_embd.weight").bytes.data() +
                  static_cast<std::size_t>(bad) * 4 * static_cast<std::size_t>(spec_.width),
              &nan, 4);
  auto model = load_bytes(file.write(), nullptr, /*check_weights=*/false);
  ASSERT_TRUE(model);
  // True drafts, the bad one, and more.
  for (std::size_t correct = 0; correct <= 4; ++correct) {
    std::vector<std::int32_t> script = expected_.tokens;
    script[1 + correct] = bad;
    auto session = session_with(*model, *draft::AnyDrafter::make(draft::Scripted(
                                            script, {{6, 6}}, static_cast<std::int32_t>(131))));
    ASSERT_TRUE(session);
    ASSERT_TRUE(session->begin(prompt_));
    auto round = session->round(7);
    ASSERT_TRUE(round) << show(round.error());
    EXPECT_EQ(round->accepted, static_cast<std::int64_t>(correct));
    EXPECT_EQ(round->evaluated, static_cast<std::int64_t>(correct) + 1);
    EXPECT_TRUE(
        std::equal(round->tokens.begin(), round->tokens.end(), expected_.tokens.begin() + 1));
    EXPECT_EQ(round->tokens.size(), correct + 1);
  }
  // The bad token in the text itself, as a draft that holds: forced by a bias.
  const LogitBias bias[] = {{bad, 1e6f}};
  auto session = session_with(*model, *draft::AnyDrafter::make(draft::Scripted(
                                          std::vector<std::int32_t>(9, bad), {{3, 3}}, 131)));
  ASSERT_TRUE(session);
  ASSERT_TRUE(session->begin(prompt_));
  ASSERT_TRUE(session->set_sampling({.logit_bias = bias}));
  auto round = session->round(4);
  ASSERT_TRUE(round) << show(round.error());
  EXPECT_EQ(round->tokens.size(), 1u) << "the row of the first bad token is not";
  EXPECT_EQ(round->tokens[0], bad);
  EXPECT_TRUE(fails_with(session->round(4), Code::numeric, {"NaN", "position 21"}));
  EXPECT_EQ(session->length(), 21);
}

}  // namespace
}  // namespace kedge::tests
