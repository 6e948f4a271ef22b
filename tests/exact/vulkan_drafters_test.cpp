// Drafters with weights of their own on Vulkan: DSpark and DFlash drafts against what speculators'
// modules draft with the same files, as on the CPU (unit/dspark_test.cpp), and texts that they do
// not change. 131 tokens: most rows of logits begin where no binding may.
#include <cmath>

#include "exact/tiny_model.hpp"
#include "kedge/io/source.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/spec/session.hpp"
#include "kedge/state/sequence.hpp"
#include "support/vulkan_device.hpp"
#include "unit/dspark_golden.hpp"

namespace kedge::tests {
namespace {

using draft::Draft;
using draft::Dspark;

class VulkanDspark : public ::testing::TestWithParam<const char*> {};

TEST_P(VulkanDspark, DraftsWhatSpeculatorsDrafts) {
  KEDGE_NEED_VULKAN_DEVICE();
  const Golden golden(GetParam());
  Model::Options where;
  where.accelerator = vulkan_device();
  const auto model = load_draft(GetParam(), where);
  ASSERT_TRUE(model) << show(model.error());
  EXPECT_EQ((*model)->accelerator(), vulkan_device());
  Dspark::Options options;
  options.logits = true;
  options.positions = 256;
  options.pending = 64;
  options.cache = Element::f32;
  auto drafter = Dspark::create(*model, *Cpu::create({}), options);
  ASSERT_TRUE(drafter) << show(drafter.error());
  auto draft = *Draft::create({});
  const SamplingOptions greedy;
  for (std::size_t round = 0; round < golden.rounds; ++round) {
    go_to_round(*drafter, golden, round, round % 2 == 0 ? 1000 : 3);
    draft.clear();
    draft::Ask ask;
    ask.count = 31;
    ask.position = golden.anchors[round] + 1;
    ask.sampling = &greedy;
    const Status status = drafter->propose(ask, draft);
    ASSERT_TRUE(status) << show(status.error());
    ASSERT_EQ(draft.size(), static_cast<std::int64_t>(golden.length));
    for (std::size_t j = 0; j < golden.length; ++j) {
      const std::size_t at = round * golden.length + j;
      EXPECT_EQ(draft.tokens()[j], golden.drafts[at]) << "round " << round << ", " << j;
      const float* expected = golden.logits.data() + at * golden.vocabulary;
      const auto found = drafter->logits(static_cast<std::int64_t>(j));
      ASSERT_EQ(found.size(), golden.vocabulary);
      double worst = 0, largest = 0;
      for (std::size_t i = 0; i < golden.vocabulary; ++i) {
        worst = std::max(worst, std::fabs(double{found[i]} - expected[i]));
        largest = std::max(largest, std::fabs(double{expected[i]}));
      }
      EXPECT_LE(worst, 1e-4 * largest) << "round " << round << ", slot " << j;
      if (golden.confidences.empty()) continue;
      EXPECT_NEAR(draft.confidences()[j], golden.confidences[at], 1e-4);
    }
  }
}

// Markov heads of all three kinds, blocks that begin at the anchor and behind it, and none at all.
INSTANTIATE_TEST_SUITE_P(Drafts, VulkanDspark,
                         ::testing::Values("first", "gated", "rnn", "bonus", "bonus_rnn", "dflash"),
                         [](const auto& param_info) { return std::string(param_info.param); });

// In a session whose target is there, too: greedy and drawn.
TEST(VulkanDrafters, DsparkChangesNoText) {
  KEDGE_NEED_VULKAN_DEVICE();
  TinySpec spec;
  spec.layers = 6;
  spec.width = 32;
  spec.head_dim = 8;
  spec.vocabulary = 131;
  const std::vector<std::byte> bytes = make_tiny(spec).write();
  auto file = io::Gguf::open(io::Source::memory(bytes, "tiny.gguf"));
  ASSERT_TRUE(file);
  Model::Options where;
  where.accelerator = vulkan_device();
  const auto model = Model::load(*file, where);
  ASSERT_TRUE(model) << show(model.error());
  for (const double temperature : {0.0, 0.9}) {
    SamplingOptions sampling;
    sampling.temperature = temperature;
    sampling.seed = 7;
    std::vector<std::int32_t> texts[2];
    for (const bool drafts : {false, true}) {
      draft::AnyDrafter drafter;
      if (drafts) {
        const auto files = ModelFiles::open(golden_draft("first").c_str());
        ASSERT_TRUE(files);
        const auto weights = draft::DsparkModel::load(*files, *model, Model::Options{});
        ASSERT_TRUE(weights) << show(weights.error());
        EXPECT_EQ((*weights)->accelerator(), vulkan_device());
        auto dspark = Dspark::create(*weights, *Cpu::create({}), {});
        ASSERT_TRUE(dspark) << show(dspark.error());
        drafter = *draft::AnyDrafter::make(*std::move(dspark));
      }
      Session::Options room;
      room.context = 100;
      room.max_draft = 8;
      room.prefill_rows = 16;
      const std::vector<std::int32_t> taps(drafter.taps().begin(), drafter.taps().end());
      room.taps = taps;
      auto session = Session::create(*model, room);
      ASSERT_TRUE(session) << show(session.error());
      ASSERT_TRUE(session->set_sampling(sampling));
      if (drafts) session->set_drafter(std::move(drafter));
      ASSERT_TRUE(session->begin(random_tokens(9, 21, (*model)->config().vocabulary)));
      while (session->text().size() < 60) {
        const auto round = session->round(60 - static_cast<std::int64_t>(session->text().size()));
        ASSERT_TRUE(round) << show(round.error());
      }
      texts[drafts].assign(session->text().begin(), session->text().end());
      EXPECT_GT(session->stats().proposed, drafts ? 20 : -1);
    }
    EXPECT_EQ(texts[0], texts[1]) << "temperature " << temperature;
  }
}

// Keys and values of a layer are one binding: a context that does not fit one is refused, with the
// largest that does, which works.
TEST(VulkanContext, WhatABindingDoesNotHoldIsRefusedWithNumbers) {
  Vulkan::Options options;
  options.allow_cpu = true;
  options.max_binding_bytes = 200000;
  const auto vulkan = Vulkan::create(options);
  if (!vulkan && vulkan.error().code == Code::not_found) GTEST_SKIP() << vulkan.error().reason;
  ASSERT_TRUE(vulkan) << show(vulkan.error());
  const std::vector<std::byte> bytes = make_tiny(tiny_spec(Element::f32)).write();
  auto file = io::Gguf::open(io::Source::memory(bytes, "tiny.gguf"));
  ASSERT_TRUE(file);
  Model::Options where;
  where.accelerator = vulkan->accelerator();
  const auto model = Model::load(*file, where);
  ASSERT_TRUE(model) << show(model.error());
  Session::Options room;
  room.context = 1280;
  room.sequences = 8;
  const auto refused = Session::create(*model, room);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unsupported) << show(refused.error());
  EXPECT_NE(std::strstr(refused.error().reason, "200000"), nullptr) << refused.error().reason;
  const char* most = std::strstr(refused.error().reason, "at most ");
  ASSERT_NE(most, nullptr) << refused.error().reason;
  room.sequences = 1;
  room.context = std::min(1280, std::atoi(most + 8));
  room.prefill_rows = 16;
  EXPECT_GT(room.context, 63);
  const auto session = Session::create(*model, room);
  EXPECT_TRUE(session) << show(session.error());
}

// A tree that kernels on an accelerator would walk too far up is refused, a chain of as many rows
// and a tree of fewer are not.
TEST(VulkanTrees, TooManyRowsOfATreeAreRefused) {
  KEDGE_NEED_VULKAN_DEVICE();
  const std::vector<std::byte> bytes = make_tiny(tiny_spec(Element::f32)).write();
  auto file = io::Gguf::open(io::Source::memory(bytes, "tiny.gguf"));
  ASSERT_TRUE(file);
  Model::Options where;
  where.accelerator = vulkan_device();
  const auto model = Model::load(*file, where);
  ASSERT_TRUE(model) << show(model.error());
  const ModelConfig& config = (*model)->config();
  KvCache::Options kv;
  kv.positions = 128;
  kv.storage = (*model)->state_storage();
  auto cache = KvCache::create(config.attention_layers(), config.kv_heads, config.head_dim, kv);
  ASSERT_TRUE(cache);
  Forward::Options room;
  room.max_rows = 40;
  room.max_outputs = 1;
  auto forward = Forward::create(*model, *Cpu::create({}), *cache, room);
  ASSERT_TRUE(forward) << show(forward.error());
  auto sequence = Sequence::create(*cache);
  ASSERT_TRUE(sequence);
  const auto run = [&](std::int32_t count, std::int32_t branch) -> Status {
    KEDGE_TRY(Transaction transaction, sequence->begin(count));
    std::vector<Row> rows;
    for (std::int32_t i = 0; i < count; ++i)
      rows.push_back({i, i, sequence->index(), i + 1 == count ? Need::argmax : Need::none});
    if (branch > 0) {  // the last row stands behind the first
      rows.back().position = 1;
      rows.back().parent = 0;
    }
    return forward->run(rows);
  };
  EXPECT_TRUE(run(40, 0));
  EXPECT_TRUE(run(32, 1));
  const Status refused = run(33, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unsupported);
  EXPECT_NE(std::strstr(refused.error().reason, "more than the 32 rows"), nullptr)
      << refused.error().reason;
}

}  // namespace
}  // namespace kedge::tests
