// Whatever drafts, the text is that of plain decoding, bit for bit, logits included.
#include "exact/drafters.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <tuple>

#include "exact/sampled.hpp"

namespace kedge::tests {
namespace {

struct Target {
  const char* name;
  std::shared_ptr<const Model> (*load)();
  std::shared_ptr<const Model> (*load_draft)();
};

std::shared_ptr<const Model> hybrid_model(const char* name) {
  auto model = Model::load((std::string(KEDGE_GOLDEN_DIR "/hybrid/") + name + ".gguf").c_str(), {});
  EXPECT_TRUE(model) << show(model.error());
  return model ? *std::move(model) : nullptr;
}

// The draft has the target's vocabulary and other weights, or is the target itself.
const Target targets[] = {
    {"llama", [] { return load_tiny(tiny_spec(Element::f32)); },
     [] {
       TinySpec spec = tiny_spec(Element::f32);
       spec.seed = 99;
       spec.layers = 1;
       return load_tiny(spec);
     }},
    {"qwen3", [] { return load_tiny(tiny_spec(tiny_architectures[1])); },
     [] { return load_tiny(tiny_spec(tiny_architectures[1])); }},
    {"hybrid", [] { return hybrid_model("one"); }, [] { return hybrid_model("one"); }},
};

class Drafters : public ::testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    model_ = GetParam().load();
    draft_ = GetParam().load_draft();
    ASSERT_TRUE(model_ != nullptr && draft_ != nullptr);
  }
  // A text that comes back to what it said, so that there is something to find.
  std::vector<std::int32_t> prompt(std::uint64_t seed) const {
    const auto vocabulary = model_->config().vocabulary;
    auto text = random_tokens(seed, 20, std::min<std::int64_t>(vocabulary, 12));
    const auto more = random_tokens(seed + 1, 10, vocabulary);
    text.insert(text.end(), more.begin(), more.end());
    text.insert(text.end(), text.begin(), text.begin() + 25);
    return text;
  }
  std::shared_ptr<const Model> model_, draft_;
};

TEST_P(Drafters, EveryTextIsThePlainOne) {
  Style drawn{"drawn", {}, false};
  drawn.sampling = {.temperature = 0.6, .repetition_penalty = 1.1, .seed = 5};
  for (const Style& style : {Style{"greedy", {}, false}, drawn})
    for (const std::uint64_t seed : {1u, 2u}) {
      Session plain = make_session(model_, style);
      const Decoded expected = must_decode(plain, prompt(seed), 120);
      for (const std::string& name : drafter_names()) {
        SCOPED_TRACE(testing::Message() << name << ", " << style.name << ", seed " << seed);
        Session session = make_session(model_, style);
        session.set_drafter(make_drafter(name, draft_));
        const Decoded found = must_decode(session, prompt(seed), 120, {}, poison_uncommitted);
        EXPECT_EQ(found.tokens, expected.tokens);
        // In a tree the rows of the text lie apart: tree_test looks at their logits.
        if (!name.ends_with("tree")) {
          EXPECT_TRUE(same_bytes(expected.logits, found.logits));
        }
        EXPECT_GT(found.stats.proposed, 0);
      }
    }
}

// Going back and on, in the middle of what a drafter remembers.
TEST_P(Drafters, TextsThatWereRewoundGoOnAsPlainOnes) {
  const Style greedy{"greedy", {}, false};
  Session plain = make_session(model_, greedy);
  const Decoded expected = must_decode(plain, prompt(3), 100);
  for (const std::string& name : drafter_names()) {
    SCOPED_TRACE(name);
    Session session = make_session(model_, greedy);
    session.set_drafter(make_drafter(name, draft_));
    const auto text = prompt(3);
    ASSERT_TRUE(session.begin(text));
    for (const std::size_t back : {std::size_t{60}, text.size() + 2, text.size() - 20}) {
      const auto size = std::min(session.text().size(), back);
      ASSERT_TRUE(session.rewind(static_cast<std::int64_t>(size)));
      if (size < text.size()) {
        ASSERT_TRUE(session.extend(std::span(text).subspan(size)));
      }
      while (session.text().size() < text.size() + 40) ASSERT_TRUE(session.round(20));
    }
    for (std::size_t i = 0; i < 40; ++i)
      ASSERT_EQ(session.text()[text.size() + i], expected.tokens[i]) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Drafters, ::testing::ValuesIn(targets),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace kedge::tests
