// Models that draft: a model that guesses for itself is always right, whatever the temperature;
// guesses depend on the text alone, however it came about; nothing is evaluated twice for nothing.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "exact/sampled.hpp"
#include "exact/session_errors.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/extended.hpp"
#include "kedge/draft/model.hpp"
#include "kedge/draft/suffix.hpp"
#include "kedge/sample/noise.hpp"
#include "support/executors.hpp"

namespace kedge::tests {
namespace {

using draft::Ask;
using draft::Draft;
using draft::DraftModel;
using Tokens = std::vector<std::int32_t>;
using ModelPointer = std::shared_ptr<const Model>;

ModelPointer hybrid(const char* name) {
  auto model = Model::load((std::string(KEDGE_GOLDEN_DIR "/hybrid/") + name + ".gguf").c_str(), {});
  EXPECT_TRUE(model) << show(model.error());
  return model ? *std::move(model) : nullptr;
}

DraftModel make(const ModelPointer& model, const DraftModel::Options& options = {}) {
  auto made = DraftModel::create(model, options);
  EXPECT_TRUE(made) << show(made.error());
  return *std::move(made);
}

struct Guessed {
  Tokens tokens;
  std::vector<float> confidences;
  bool operator==(const Guessed& o) const {
    return tokens == o.tokens && confidences.size() == o.confidences.size() &&
           std::memcmp(confidences.data(), o.confidences.data(), 4 * confidences.size()) == 0;
  }
};
std::ostream& operator<<(std::ostream& out, const Guessed& g) {
  for (std::size_t i = 0; i < g.tokens.size(); ++i)
    out << g.tokens[i] << " (" << g.confidences[i] << ") ";
  return out;
}
Guessed guess(DraftModel& model, std::int64_t count, std::int64_t position,
              const SamplingOptions& sampling = {}, float least = 0) {
  Draft draft = *Draft::create({.capacity = 31});
  Ask ask{.count = count, .position = position, .sampling = &sampling, .least_confidence = least};
  const Status status = model.propose(ask, draft);
  EXPECT_TRUE(status) << show(status.error());
  return {{draft.tokens().begin(), draft.tokens().end()},
          {draft.confidences().begin(), draft.confidences().end()}};
}

struct Kind {
  const char* name;
  ModelPointer (*load)();
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class DraftModels : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    model_ = GetParam().load();
    ASSERT_NE(model_, nullptr);
    vocabulary_ = model_->config().vocabulary;
  }
  // Every round of a model that drafts for itself accepts everything.
  void expect_always_right(const Style& style, std::int64_t length, const ModelPointer& draft,
                           const DraftModel::Options& options) {
    const auto prompt = random_tokens(4, 40, vocabulary_);
    Session plain = make_session(model_, style), session = make_session(model_, style);
    auto drafter = draft::AnyDrafter::make(make(draft, options));
    ASSERT_TRUE(drafter);
    session.set_drafter(*std::move(drafter));
    const Decoded expected = must_decode(plain, prompt, 61);
    const Decoded found = must_decode(session, prompt, 61, {}, poison_uncommitted);
    EXPECT_EQ(found.tokens, expected.tokens);
    EXPECT_TRUE(same_bytes(expected.logits, found.logits));
    // 60 tokens behind the first: rounds of length + 1, and the last is cut to what is left.
    EXPECT_EQ(found.stats.rounds, (60 + length) / (length + 1));
    for (std::size_t i = 0; i < found.rounds.size(); ++i) {
      EXPECT_EQ(found.rounds[i].accepted, found.rounds[i].proposed);
      if (i + 1 < found.rounds.size()) {
        EXPECT_EQ(found.rounds[i].proposed, length);
      }
    }
  }

  ModelPointer model_;
  std::int64_t vocabulary_ = 0;
};

TEST_P(DraftModels, AModelIsRightAboutItself) {
  const Style greedy{"greedy", {}, false};
  Style drawn{"drawn", {}, false}, penalized{"penalized", {}, false};
  drawn.sampling = {.temperature = 1, .seed = 5};
  penalized.sampling = {
      .temperature = 0.7, .top_k = 40, .top_p = 0.9, .repetition_penalty = 1.2, .seed = 6};
  for (const Style& style : {greedy, drawn, penalized})
    for (const std::int64_t length : {1, 4, 9})
      expect_always_right(style, length, model_, {.length = length});
}

// Another executor, instruction set and prompt chunks make no difference to the guesses.
TEST_P(DraftModels, GuessesDependOnTheTextAlone) {
  TasksOnlyExecutor tasks(3u, true);
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    std::mt19937_64 rng(seed);
    DraftModel walked = make(model_, {.length = 6, .capacity = 300});
    const SamplingOptions greedy{}, drawn{.temperature = 1, .seed = seed};
    Tokens text;
    ASSERT_TRUE(walked.begin(text));
    for (int step = 0; step < 25; ++step) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", step " << step);
      const SamplingOptions& sampling = rng() % 2 == 0 ? greedy : drawn;
      switch (rng() % 6) {
        case 0:
          text.resize(rng() % (text.size() + 1));
          ASSERT_TRUE(walked.truncate(static_cast<std::int64_t>(text.size())));
          break;
        case 1: {
          if (rng() % 3 != 0) break;
          text = random_tokens(rng(), 1 + static_cast<std::int64_t>(rng() % 60), vocabulary_);
          ASSERT_TRUE(walked.begin(text));
          break;
        }
        case 2: {
          const auto more =
              random_tokens(rng(), static_cast<std::int64_t>(rng() % 20), vocabulary_);
          text.insert(text.end(), more.begin(), more.end());
          ASSERT_TRUE(walked.append(more));
          break;
        }
        default: {  // a round: some guesses hold, then something else
          Tokens more = guess(walked, 6, static_cast<std::int64_t>(text.size()), sampling).tokens;
          more.resize(rng() % (more.size() + 1));
          more.push_back(static_cast<std::int32_t>(rng() % static_cast<unsigned>(vocabulary_)));
          ASSERT_TRUE(walked.append(more));
          walked.feedback({6, static_cast<std::int64_t>(more.size()), 0});
          text.insert(text.end(), more.begin(), more.end());
        }
      }
      if (text.size() > 250) break;
      DraftModel::Options options{.length = 6, .capacity = 300};
      options.isa = rng() % 2 == 0 ? cpu::Isa::best : cpu::Isa::scalar;
      options.executor = rng() % 2 == 0 ? nullptr : &tasks;
      options.prefill_rows = 1 + static_cast<std::int64_t>(rng() % 100);
      DraftModel fresh = make(model_, options);
      ASSERT_TRUE(fresh.begin(text));
      const auto position = static_cast<std::int64_t>(text.size());
      const std::int64_t count = 1 + static_cast<std::int64_t>(rng() % 6);
      ASSERT_EQ(guess(walked, count, position, sampling), guess(fresh, count, position, sampling));
    }
  }
}

// What is new is evaluated in one pass, what held is not evaluated again.
TEST_P(DraftModels, NothingIsEvaluatedTwice) {
  DraftModel model = make(model_, {.length = 4, .prefill_rows = 64});
  const auto prompt = random_tokens(9, 100, vocabulary_);
  ASSERT_TRUE(model.begin(prompt));
  EXPECT_EQ(model.work().text_rows, 0) << "a drafter that is not asked does nothing";
  Guessed g = guess(model, 4, 100);
  ASSERT_EQ(g.tokens.size(), 4u);
  EXPECT_EQ(model.work().text_passes, 2) << "100 rows, 64 a pass";
  EXPECT_EQ(model.work().text_rows, 100);
  EXPECT_EQ(model.work().guess_rows, 3) << "behind the last guess nothing is asked";
  // All held: the last guess and the target's own are new.
  Tokens more = g.tokens;
  more.push_back(1);
  ASSERT_TRUE(model.append(more));
  g = guess(model, 4, 105);
  EXPECT_EQ(model.work().text_rows, 102);
  EXPECT_EQ(model.work().text_passes, 3);
  // None held.
  ASSERT_TRUE(model.append(Tokens{(g.tokens[0] + 1) % static_cast<std::int32_t>(vocabulary_)}));
  g = guess(model, 4, 106);
  EXPECT_EQ(model.work().text_rows, 103);
  // Two of them held.
  more = {g.tokens[0], g.tokens[1], (g.tokens[2] + 1) % static_cast<std::int32_t>(vocabulary_)};
  ASSERT_TRUE(model.append(more));
  g = guess(model, 4, 109);
  EXPECT_EQ(model.work().text_rows, 104);
  // Rounds in which it was not asked.
  ASSERT_TRUE(model.append(random_tokens(3, 20, vocabulary_)));
  ASSERT_TRUE(model.append(random_tokens(4, 5, vocabulary_)));
  guess(model, 1, 134);
  EXPECT_EQ(model.work().text_rows, 104 + 25);
  EXPECT_EQ(model.work().text_passes, 6);
}

// Asking again, as after a round that failed, changes nothing.
TEST_P(DraftModels, AskingLeavesTheTextAsItWas) {
  DraftModel model = make(model_);
  ASSERT_TRUE(model.begin(random_tokens(9, 30, vocabulary_)));
  const Guessed first = guess(model, 4, 30);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(guess(model, 4, 30), first);
  const Guessed less = guess(model, 2, 30);
  EXPECT_EQ(less.tokens, Tokens(first.tokens.begin(), first.tokens.begin() + 2));
}

INSTANTIATE_TEST_SUITE_P(
    Architectures, DraftModels,
    ::testing::Values(Kind{"llama", [] { return load_tiny(tiny_spec(Element::f32)); }},
                      Kind{"qwen2", [] { return load_tiny(tiny_spec(tiny_architectures[0])); }},
                      Kind{"hybrid_one", [] { return hybrid("one"); }},
                      Kind{"hybrid_unequal", [] { return hybrid("unequal"); }}),
    [](const auto& kind) { return kind.param.name; });

class DraftModelTest : public ::testing::Test {
 protected:
  TinySpec spec_ = tiny_spec(Element::f32);
  ModelPointer model_ = load_tiny(spec_);
};

TEST_F(DraftModelTest, ConfidenceIsTheProbabilityOfTheGuess) {
  DraftModel model = make(model_);
  const auto text = random_tokens(9, 30, spec_.vocabulary);
  ASSERT_TRUE(model.begin(text));
  const SamplingOptions drawn{.temperature = 0.5, .seed = 3};
  const Guessed g = guess(model, 1, 30, drawn);
  ASSERT_EQ(g.tokens.size(), 1u);
  Session session = make_session(model_, {"greedy", {}, false});
  session.set_least_need(Need::logits);
  ASSERT_TRUE(session.begin(text));
  const auto logits = session.forward().logits(0);
  double sum = 0;
  for (const float x : logits) sum += std::exp(double(x) / 0.5);
  const double p = std::exp(double(logits[static_cast<std::size_t>(g.tokens[0])]) / 0.5) / sum;
  EXPECT_NEAR(double(g.confidences[0]), p, 1e-5);
  // Guesses below what is wanted end the draft.
  EXPECT_EQ(guess(model, 4, 30, drawn, g.confidences[0] + 1e-4f).tokens, Tokens());
  EXPECT_GE(guess(model, 4, 30, drawn, g.confidences[0] - 1e-4f).tokens.size(), 1u);
}

// For rejection and block verification a guess is drawn with the drafter's own noise, and says what
// from, as far as there is room.
TEST_F(DraftModelTest, GuessesApartSayWhatTheyWereDrawnFrom) {
  DraftModel model = make(model_);
  const auto text = random_tokens(9, 30, spec_.vocabulary);
  const SamplingOptions sampling{.temperature = 1, .seed = 3};
  const Ask ask{.count = 4, .position = 30, .sampling = &sampling, .share_noise = false};
  ASSERT_TRUE(model.begin(text));
  for (const std::int64_t room : {4000, 44, 3, 0}) {
    Draft draft = *Draft::create({.capacity = 4, .probabilities = room});
    ASSERT_TRUE(model.propose(ask, draft));
    ASSERT_EQ(draft.size(), 4);
    for (std::int64_t i = 0; i < 4; ++i) {
      const draft::Distribution q = draft.distribution(i);
      if (room / 4 == 0 && i == 0) {
        EXPECT_TRUE(q.empty());
      }
      if (q.empty()) continue;
      EXPECT_EQ(q.tokens.size(), static_cast<std::size_t>(room == 4000 ? spec_.vocabulary
                                                          : room == 44 ? 11
                                                                       : 1));
      EXPECT_NEAR(q.sum(), 1, 1e-5);
      const std::int32_t token = draft.tokens()[static_cast<std::size_t>(i)];
      EXPECT_GT(q.of(token), 0);
      // What was drawn must not decide whether it is kept, so the confidence does not tell.
      EXPECT_EQ(*std::max_element(q.probabilities.begin(), q.probabilities.end()),
                draft.confidences()[static_cast<std::size_t>(i)]);
      EXPECT_EQ(token, kedge::draw(q, noise::uniform(3, {30, noise::Stream::draft, i})));
    }
  }
  // Greedily the guess is certain.
  const SamplingOptions greedy;
  Draft draft = *Draft::create({.capacity = 4, .probabilities = 4000});
  Ask asked = ask;
  asked.sampling = &greedy;
  ASSERT_TRUE(model.propose(asked, draft));
  EXPECT_TRUE(draft.distribution(0).empty());
}

// The draft's tokens in another order: maps both ways, and noise by the target's ids.
TEST_F(DraftModelTest, AVocabularyInAnotherOrderIsAsGoodAsTheSame) {
  TinyFile file = make_tiny(spec_);
  const auto count = static_cast<std::size_t>(spec_.vocabulary);
  Tokens to_target(count), to_draft(count);
  for (std::size_t i = 0; i < count; ++i) to_target[i] = static_cast<std::int32_t>(i);
  std::mt19937_64 rng(1);
  std::shuffle(to_target.begin(), to_target.end(), rng);
  for (std::size_t i = 0; i < count; ++i)
    to_draft[static_cast<std::size_t>(to_target[i])] = static_cast<std::int32_t>(i);
  for (const char* name : {"token_embd.weight", "output.weight"}) {
    TinyTensor& tensor = file.tensor(name);
    const std::size_t bytes = tensor.bytes.size() / count;
    const auto old = tensor.bytes;
    for (std::size_t i = 0; i < count; ++i)
      std::memcpy(tensor.bytes.data() + i * bytes,
                  old.data() + static_cast<std::size_t>(to_target[i]) * bytes, bytes);
  }
  auto shuffled = load_bytes(file.write());
  ASSERT_TRUE(shuffled) << show(shuffled.error());
  DraftModel model =
      make(*shuffled,
           {.target_vocabulary = spec_.vocabulary, .to_target = to_target, .to_draft = to_draft});
  DraftModel original = make(model_);
  const auto text = random_tokens(9, 30, spec_.vocabulary);
  for (const double temperature : {0.0, 1.0}) {
    const SamplingOptions sampling{.temperature = temperature, .seed = 8};
    ASSERT_TRUE(model.begin(text) && original.begin(text));
    EXPECT_EQ(guess(model, 4, 30, sampling).tokens, guess(original, 4, 30, sampling).tokens);
  }
}

// Half of the tokens have no counterpart: they are never guessed, and the others as before.
TEST_F(DraftModelTest, AReducedVocabularyGuessesWhatItHas) {
  const auto count = static_cast<std::size_t>(spec_.vocabulary);
  Tokens to_target(count, -1), to_draft(count, -1);
  for (std::size_t i = 0; i < count; i += 2)
    to_target[i] = to_draft[i] = static_cast<std::int32_t>(i);
  DraftModel model = make(model_, {.target_vocabulary = spec_.vocabulary,
                                   .to_target = to_target,
                                   .to_draft = to_draft,
                                   .filler = 4});
  auto text = random_tokens(9, 30, spec_.vocabulary);
  ASSERT_TRUE(model.begin(text));
  for (const double temperature : {0.0, 1.0})
    for (const std::int32_t token :
         guess(model, 4, 30, {.temperature = temperature, .seed = 1}).tokens)
      EXPECT_EQ(token % 2, 0);
  // Tokens without a counterpart are evaluated as the filler.
  for (std::int32_t& token : text)
    if (token % 2 == 1) token = 4;
  Session session = make_session(model_, {"greedy", {}, false});
  session.set_least_need(Need::logits);
  ASSERT_TRUE(session.begin(text));
  const auto logits = session.forward().logits(0);
  std::size_t best = 0;
  for (std::size_t i = 0; i < count; i += 2)
    if (logits[i] > logits[best]) best = i;
  EXPECT_EQ(guess(model, 1, 30).tokens, Tokens{static_cast<std::int32_t>(best)});
}

// Tokens that the target does not have are never guessed, and a smaller draft guesses what it has.
TEST_F(DraftModelTest, VocabulariesOfDifferentSizes) {
  const auto text = random_tokens(9, 30, 20);
  for (const std::int64_t target : {std::int64_t{20}, spec_.vocabulary, spec_.vocabulary + 50}) {
    DraftModel model = make(model_, {.length = 8, .target_vocabulary = target});
    ASSERT_TRUE(model.begin(text));
    for (const double temperature : {0.0, 2.0}) {
      // A bias of the target's may concern a token that the draft does not have.
      const LogitBias bias{static_cast<std::int32_t>(target - 1), -1};
      const Guessed g =
          guess(model, 8, 30, {.temperature = temperature, .logit_bias = {&bias, 1}, .seed = 2});
      EXPECT_EQ(g.tokens.size(), 8u);
      for (const std::int32_t token : g.tokens)
        EXPECT_LT(token, std::min<std::int64_t>(target, spec_.vocabulary));
    }
  }
}

TEST_F(DraftModelTest, BeyondItsContextItIsSilent) {
  TinySpec spec = spec_;
  spec.context = 40;
  const ModelPointer model = load_tiny(spec);
  DraftModel draft = make(model, {.length = 4, .capacity = 100});
  ASSERT_TRUE(draft.begin(random_tokens(9, 35, spec.vocabulary)));
  EXPECT_EQ(guess(draft, 4, 35).tokens.size(), 4u);
  ASSERT_TRUE(draft.append(Tokens{1, 2, 3}));
  EXPECT_EQ(guess(draft, 4, 38).tokens.size(), 3u);
  ASSERT_TRUE(draft.append(Tokens{1, 2}));
  EXPECT_EQ(guess(draft, 4, 40).tokens.size(), 1u);
  ASSERT_TRUE(draft.append(Tokens{3}));
  EXPECT_EQ(guess(draft, 4, 41).tokens.size(), 0u);
  ASSERT_TRUE(draft.append(random_tokens(1, 59, spec.vocabulary)));
  EXPECT_EQ(guess(draft, 4, 100).tokens.size(), 0u);
  const Status status = draft.append(Tokens{1});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::out_of_memory);
  ASSERT_TRUE(draft.truncate(36));
  EXPECT_EQ(guess(draft, 4, 36).tokens.size(), 4u);
}

TEST_F(DraftModelTest, ImpossibleOptionsAreErrors) {
  const auto fails = [&](const DraftModel::Options& options, Code code, const char* what) {
    const auto made = DraftModel::create(model_, options);
    ASSERT_FALSE(made) << what;
    EXPECT_EQ(made.error().code, code) << made.error().reason;
    EXPECT_NE(std::string(made.error().reason).find(what), std::string::npos)
        << made.error().reason;
  };
  const Tokens map(static_cast<std::size_t>(spec_.vocabulary), 0);
  const Tokens high = {static_cast<std::int32_t>(spec_.vocabulary)};
  fails({.length = 0}, Code::invalid_argument, "length");
  fails({.capacity = 0}, Code::invalid_argument, "capacity");
  fails({.memory_budget = 1000}, Code::out_of_memory, "1000");
  fails({.to_target = map}, Code::invalid_argument, "both maps");
  fails({.to_target = high, .to_draft = map}, Code::invalid_argument, "to_target");
  fails({.to_target = map, .to_draft = high}, Code::invalid_argument, "to_draft");
  fails({.filler = -1}, Code::invalid_argument, "filler");
  // A token that the model does not have is an error of the round that would evaluate it.
  DraftModel model = make(model_);
  ASSERT_TRUE(model.begin(high));
  Draft draft = *Draft::create({});
  const SamplingOptions greedy;
  EXPECT_FALSE(model.propose({.count = 1, .position = 1, .sampling = &greedy}, draft));
  ASSERT_TRUE(model.begin(Tokens{1}));
  EXPECT_TRUE(model.propose({.count = 1, .position = 1, .sampling = &greedy}, draft));
}

// Another, worse model, extended by an n-gram drafter: the text is still the plain one.
TEST_F(DraftModelTest, AnotherModelAndAnExtenderLeaveTheTextAsItIs) {
  TinySpec other = spec_;
  other.seed = 77;
  other.layers = 1;
  const ModelPointer draft = load_tiny(other);
  auto prompt = random_tokens(5, 30, spec_.vocabulary);
  prompt.insert(prompt.end(), prompt.begin(), prompt.end());
  for (const double temperature : {0.0, 1.0}) {
    Style style{"style", {}, false};
    style.sampling = {.temperature = temperature, .seed = 4};
    Session plain = make_session(model_, style), session = make_session(model_, style);
    auto extended =
        draft::Extended::create(*draft::AnyDrafter::make(make(draft, {.length = 2})),
                                *draft::AnyDrafter::make(*draft::Suffix::create({.length = 3})));
    ASSERT_TRUE(extended);
    session.set_drafter(*draft::AnyDrafter::make(*std::move(extended)));
    const Decoded expected = must_decode(plain, prompt, 200);
    const Decoded found = must_decode(session, prompt, 200, {}, poison_uncommitted);
    EXPECT_EQ(found.tokens, expected.tokens);
    EXPECT_TRUE(same_bytes(expected.logits, found.logits));
    EXPECT_GT(found.stats.rejected_rows, 0);
  }
}

}  // namespace
}  // namespace kedge::tests
