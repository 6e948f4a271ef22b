// Whole models on Vulkan: logits have the same bytes for every width and split of the rows, with
// and without speculation, after undoing, forking, going back, saving and loading; and they agree
// with the CPU's.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "exact/decode.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/mtp.hpp"
#include "kedge/draft/scripted.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "support/vulkan_device.hpp"

namespace kedge::tests {
namespace {

constexpr std::int64_t prompt_size = 21, text_size = 90;

const std::shared_ptr<Accelerator>& device(std::string* why = nullptr) {
  return vulkan_device(why);
}

struct Kind {
  const char* name;
  Element element;       // of a tiny llama
  const char* hybrid;    // or a model of tests/golden/hybrid
  double cpu_agreement;  // normalized squared error; the CPU rounds what it multiplies with blocks
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

std::shared_ptr<const Model> load(const Kind& kind, std::shared_ptr<Accelerator> where) {
  Model::Options options;
  options.accelerator = std::move(where);
  Result<std::shared_ptr<const Model>> model = fail(Code::not_found, kind.name, "unread");
  if (kind.hybrid != nullptr) {
    model = Model::load((std::string(KEDGE_GOLDEN_DIR "/hybrid/") + kind.hybrid + ".gguf").c_str(),
                        options);
  } else {
    const std::vector<std::byte> bytes = make_tiny(tiny_spec(kind.element)).write();
    auto file = io::Gguf::open(io::Source::memory(bytes, "tiny.gguf"));
    EXPECT_TRUE(file) << show(file.error());
    model = Model::load(*file, options);
  }
  EXPECT_TRUE(model) << kind.name << ": " << show(model.error());
  return model ? *model : nullptr;
}

class VulkanModel : public ::testing::TestWithParam<Kind> {
 protected:
  struct World {
    std::shared_ptr<const Model> model;
    std::vector<std::int32_t> text;  // plain greedy, with the prompt
    Logits logits;
  };
  void SetUp() override {
    std::string why;
    if (device(&why) == nullptr) GTEST_SKIP() << why;
  }
  static Session make(const World& w, std::int64_t max_draft) {
    Session::Options options;
    options.context = text_size + 20;
    options.max_draft = max_draft;
    options.prefill_rows = 16;
    options.sequences = 2;
    auto session = Session::create(w.model, options);
    EXPECT_TRUE(session) << show(session.error());
    return session ? *std::move(session) : Session();
  }
  // The plain text of this kind's model.
  static const World& world() {
    static std::map<std::string, World> all;
    World& w = all[GetParam().name];
    if (w.model != nullptr) return w;
    w.model = load(GetParam(), device());
    if (w.model == nullptr) return w;
    Session session = make(w, 0);
    const auto prompt = random_tokens(5, prompt_size, w.model->config().vocabulary);
    Decoded plain = must_decode(session, prompt, text_size - prompt_size);
    w.text = prompt;
    w.text.insert(w.text.end(), plain.tokens.begin(), plain.tokens.end());
    w.logits = std::move(plain.logits);
    return w;
  }
  static draft::AnyDrafter script(const World& w, std::vector<draft::Scripted::Step> steps) {
    auto drafter = draft::AnyDrafter::make(
        draft::Scripted({w.text.begin() + prompt_size, w.text.end()}, std::move(steps),
                        static_cast<std::int32_t>(w.model->config().vocabulary)));
    EXPECT_TRUE(drafter);
    return *std::move(drafter);
  }
  static void expect_plain(const World& w, const Decoded& found, const char* what) {
    EXPECT_TRUE(std::equal(found.tokens.begin(), found.tokens.end(), w.text.begin() + prompt_size))
        << what;
    EXPECT_TRUE(same_bytes(w.logits, found.logits)) << what;
  }
};

TEST_P(VulkanModel, LogitsDoNotDependOnTheRowsOfACall) {
  const World& w = world();
  ASSERT_NE(w.model, nullptr);
  const std::int64_t count = 80;
  const auto tokens = random_tokens(9, count, w.model->config().vocabulary);
  const Logits expected = must_evaluate(w.model, {}, tokens, equal_chunks(count, 1));
  for (const std::int64_t width : {2, 3, 8, 13, 16, 80})
    EXPECT_TRUE(
        same_bytes(expected, must_evaluate(w.model, {}, tokens, equal_chunks(count, width))))
        << "width " << width;
  EXPECT_TRUE(
      same_bytes(expected, must_evaluate(w.model, {}, tokens, random_chunks(4, count, 40))));
}

TEST_P(VulkanModel, AgreesWithTheCpu) {
  const World& w = world();
  ASSERT_NE(w.model, nullptr);
  const auto cpu = load(GetParam(), nullptr);
  const auto tokens = random_tokens(9, 70, w.model->config().vocabulary);
  const Logits ours = must_evaluate(w.model, {}, tokens, equal_chunks(70, 16)),
               theirs = must_evaluate(cpu, {}, tokens, equal_chunks(70, 16));
  double error = 0, total = 0;
  for (std::int64_t p = 0; p < 70; ++p)
    for (std::int64_t i = 0; i < w.model->config().vocabulary; ++i) {
      const double a = ours.row(p)[i], b = theirs.row(p)[i];
      error += (a - b) * (a - b);
      total += b * b;
    }
  EXPECT_LE(error, GetParam().cpu_agreement * total) << error / total;
}

TEST_P(VulkanModel, SpeculationAndUndoChangeNothing) {
  const World& w = world();
  ASSERT_NE(w.model, nullptr);
  Session session = make(w, 7);
  // Every pair (proposed, accepted) up to here.
  std::vector<draft::Scripted::Step> steps;
  for (std::int64_t proposed = 1; proposed <= 7; ++proposed)
    for (std::int64_t accepted = 0; accepted <= proposed; accepted += 1 + proposed / 3)
      steps.push_back({proposed, accepted});
  session.set_drafter(script(w, steps));
  const Decoded found =
      must_decode(session, std::span(w.text).first(prompt_size), text_size - prompt_size, {},
                  [](Session& s) { poison_uncommitted(s); });
  expect_plain(w, found, "speculative");
  EXPECT_GT(found.stats.accepted, 0);
  EXPECT_LT(found.stats.accepted, found.stats.proposed);
}

TEST_P(VulkanModel, GoesBackForksSavesAndLoads) {
  const World& w = world();
  ASSERT_NE(w.model, nullptr);
  Session session = make(w, 3);
  const auto expect_rest = [&](Session& s, const char* what) {
    while (static_cast<std::int64_t>(s.text().size()) < text_size) {
      auto round = s.round(text_size - static_cast<std::int64_t>(s.text().size()));
      ASSERT_TRUE(round) << what << ": " << show(round.error());
    }
    EXPECT_TRUE(std::equal(s.text().begin(), s.text().end(), w.text.begin())) << what;
  };
  ASSERT_TRUE(session.begin(std::span(w.text).first(prompt_size)));
  expect_rest(session, "plain");
  ASSERT_TRUE(session.rewind(60));
  expect_rest(session, "rewind");
  ASSERT_TRUE(session.rewind(70));
  {
    auto fork = session.fork();
    ASSERT_TRUE(fork) << show(fork.error());
    expect_rest(session, "forked");
    expect_rest(*fork, "fork");
  }
  ASSERT_TRUE(session.rewind(75));
  std::vector<std::byte> bytes;
  io::Sink sink = io::Sink::memory(bytes);
  ASSERT_TRUE(session.save(sink));
  Session loaded = make(w, 3);
  ASSERT_TRUE(loaded.load(io::Source::memory(bytes, "session")));
  expect_rest(loaded, "loaded");
}

INSTANTIATE_TEST_SUITE_P(Models, VulkanModel,
                         ::testing::Values(Kind{"f32", Element::f32, nullptr, 1e-9},
                                           Kind{"q8_0", Element::q8_0, nullptr, 2e-3},
                                           Kind{"q4_k", Element::q4_k, nullptr, 2e-3},
                                           Kind{"hybrid", Element::f32, "two", 2e-3}),
                         [](const auto& kind) { return std::string(kind.param.name); });

// A drafter with weights of its own runs where its target is.
TEST(VulkanDrafters, MtpChangesNoText) {
  std::string why;
  if (device(&why) == nullptr) GTEST_SKIP() << why;
  const auto files = ModelFiles::open(KEDGE_GOLDEN_DIR "/hybrid/two.gguf");
  ASSERT_TRUE(files);
  Model::Options options;
  options.accelerator = device();
  auto model = Model::load(*files, options);
  ASSERT_TRUE(model) << show(model.error());
  auto weights = draft::MtpModel::load(*files, *model, {});
  ASSERT_TRUE(weights) << show(weights.error());
  std::vector<std::int32_t> texts[2];
  for (const bool drafts : {false, true}) {
    draft::AnyDrafter drafter;
    if (drafts) {
      auto mtp = draft::Mtp::create(*weights, *Cpu::create({}), {.length = 3, .positions = 128});
      ASSERT_TRUE(mtp) << show(mtp.error());
      drafter = *draft::AnyDrafter::make(*std::move(mtp));
    }
    Session::Options room;
    room.context = 100;
    room.max_draft = 3;
    room.prefill_rows = 16;
    const std::vector<std::int32_t> taps(drafter.taps().begin(), drafter.taps().end());
    room.taps = taps;
    auto session = Session::create(*model, room);
    ASSERT_TRUE(session) << show(session.error());
    if (drafts) session->set_drafter(std::move(drafter));
    ASSERT_TRUE(session->begin(random_tokens(9, 21, (*model)->config().vocabulary)));
    while (session->text().size() < 70) {
      const auto round = session->round(70 - static_cast<std::int64_t>(session->text().size()));
      ASSERT_TRUE(round) << show(round.error());
    }
    texts[drafts].assign(session->text().begin(), session->text().end());
    EXPECT_GT(session->stats().proposed, drafts ? 20 : -1);
  }
  EXPECT_EQ(texts[0], texts[1]);

  const auto on_cpu = Model::load(*files, {});
  ASSERT_TRUE(on_cpu);
  const auto apart = draft::MtpModel::load(*files, *on_cpu, options);
  ASSERT_FALSE(apart);
  EXPECT_EQ(apart.error().code, Code::invalid_argument);
}

TEST(VulkanModelMemory, IsSharedAndRefusedWithNumbers) {
  std::string why;
  if (device(&why) == nullptr) GTEST_SKIP() << why;
  const Kind kind{"f32", Element::f32, nullptr, 0};
  const std::vector<std::byte> bytes = make_tiny(tiny_spec(kind.element)).write();
  auto file = io::Gguf::open(io::Source::memory(bytes, "tiny.gguf"));
  ASSERT_TRUE(file);
  Model::Options options;
  options.accelerator = device();
  options.memory_budget = 1000;
  const auto refused = Model::load(*file, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::out_of_memory);
  EXPECT_NE(std::strstr(refused.error().reason, "1000"), nullptr) << refused.error().reason;

  options.memory_budget = 0;
  auto model = Model::load(*file, options);
  ASSERT_TRUE(model) << show(model.error());
  SessionShape shape;
  shape.context = 100;
  const auto estimate = (*model)->estimate(shape);
  ASSERT_TRUE(estimate) << show(estimate.error());
  EXPECT_EQ(estimate->weights, (*model)->weight_bytes());
  Session::Options session;
  session.context = 100;
  session.memory_budget = 1000;
  const auto none = Session::create(*model, session);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::out_of_memory);
}

}  // namespace
}  // namespace kedge::tests
