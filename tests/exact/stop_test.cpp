// Texts that end inside a block of accepted drafts leave what plain decoding leaves.
#include <gtest/gtest.h>

#include "exact/sampled.hpp"

namespace kedge::tests {
namespace {

// Ends the text behind the n-th occurrence of a token followed by another, and remembers what it
// was told.
struct Pair {
  std::int32_t first, second;
  std::vector<std::int32_t> told;
  StopMatcher matcher() {
    return {this, [](void* context, std::int32_t token) noexcept {
              auto& self = *static_cast<Pair*>(context);
              self.told.push_back(token);
              const std::size_t n = self.told.size();
              return n > 1 && self.told[n - 2] == self.first && token == self.second;
            }};
  }
};

class Stop : public ::testing::TestWithParam<std::size_t> {};

TEST_P(Stop, InsideAnAcceptedBlockLeavesThePlainState) {
  const Style style = styles()[GetParam()];
  const TinySpec spec = tiny_spec(Element::f32, 4);
  const auto model = load_tiny(spec);
  ASSERT_NE(model, nullptr);
  const auto prompt = random_tokens(9, 37, spec.vocabulary);
  Session whole = make_session(model, style);
  const std::vector<std::int32_t> text = must_decode(whole, prompt, 40).tokens;
  int inside = 0;
  for (std::size_t at = 1; at < 30; ++at) {
    Session plain = make_session(model, style), session = make_session(model, style);
    session.set_drafter(script(text, {{8, 8}, {16, 16}}, spec.vocabulary));
    Pair a{text[at - 1], text[at], {}}, b = a;
    std::vector<std::int32_t> events;
    GenerateOptions generate;
    generate.stop = a.matcher();
    const auto stop = plain.generate(prompt, generate);
    ASSERT_TRUE(stop) << show(stop.error());
    ASSERT_EQ(*stop, StopReason::stop_text);
    generate.stop = b.matcher();
    generate.context = &events;
    generate.on_token = [](void* context, const TokenEvent& e) noexcept {
      static_cast<std::vector<std::int32_t>*>(context)->push_back(e.id);
      return true;
    };
    ASSERT_EQ(*session.generate(prompt, generate), StopReason::stop_text);
    EXPECT_EQ(a.told, b.told);
    EXPECT_EQ(events, b.told);
    EXPECT_EQ(plain.length(), session.length());
    EXPECT_TRUE(std::equal(plain.text().begin(), plain.text().end(), session.text().begin(),
                           session.text().end()));
    inside += session.stats().rejected_rows > 0 ? 1 : 0;
    // Both go on with the same bytes.
    const Decoded rest_a = go_on(plain, 6), rest_b = go_on(session, 6);
    EXPECT_EQ(rest_a.tokens, rest_b.tokens);
    EXPECT_TRUE(same_bytes(rest_a.logits, rest_b.logits));
  }
  EXPECT_GT(inside, 5) << "no block was cut: the test tests nothing";
}

INSTANTIATE_TEST_SUITE_P(Styles, Stop, ::testing::Values(0, 4, 6));

TEST(Events, CarryBytesAndMarkDrafts) {
  const TinySpec spec = tiny_spec(Element::f32, 4);
  const auto model = load_tiny(spec);
  ASSERT_NE(model, nullptr);
  const auto prompt = random_tokens(9, 37, spec.vocabulary);
  const Style style = styles()[2];
  Session plain = make_session(model, style), session = make_session(model, style);
  const std::vector<std::int32_t> text = must_decode(plain, prompt, 20).tokens;
  session.set_drafter(script(text, {{4, 2}}, spec.vocabulary));
  struct Told {
    std::string bytes;
    std::string drafted;
    std::vector<std::int64_t> positions;
    std::string buffer;
  } told;
  GenerateOptions generate;
  generate.max_tokens = 7;
  generate.token_bytes = {&told, [](void* context, std::int32_t token) noexcept {
                            auto& t = *static_cast<Told*>(context);
                            t.buffer = std::to_string(token) + " ";
                            return std::string_view(t.buffer);
                          }};
  generate.context = &told;
  generate.on_token = [](void* context, const TokenEvent& e) noexcept {
    auto& t = *static_cast<Told*>(context);
    t.bytes += e.bytes;
    t.drafted += e.drafted ? 'd' : 't';
    t.positions.push_back(e.position);
    return true;
  };
  ASSERT_TRUE(session.generate(prompt, generate));
  std::string expected;
  for (std::size_t i = 0; i < 7; ++i) expected += std::to_string(text[i]) + " ";
  EXPECT_EQ(told.bytes, expected);
  EXPECT_EQ(told.drafted, "tddtddt");
  EXPECT_EQ(told.positions, (std::vector<std::int64_t>{37, 38, 39, 40, 41, 42, 43}));
}

}  // namespace
}  // namespace kedge::tests
