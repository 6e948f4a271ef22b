// Drafters that read hidden states, in sessions: whatever they guess, the text is the plain one,
// and what they are told is enough for them whatever is accepted, cut or begun again.
#include <gtest/gtest.h>

#include "exact/errors.hpp"
#include "exact/tiny_model.hpp"
#include "kedge/draft/dspark.hpp"
#include "kedge/draft/mtp.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tests {
namespace {

constexpr std::int64_t text_size = 120;

std::vector<std::int32_t> write(const std::shared_ptr<const Model>& model,
                                draft::AnyDrafter drafter, const SamplingOptions& sampling,
                                Stats* stats = nullptr) {
  Session::Options options;
  options.max_draft = 8;
  const std::vector<std::int32_t> taps(drafter.taps().begin(), drafter.taps().end());
  options.taps = taps;

  auto session = Session::create(model, options);
  EXPECT_TRUE(session) << show(session.error());
  if (!session) return {};
  EXPECT_TRUE(session->set_sampling(sampling));
  if (drafter) session->set_drafter(std::move(drafter));
  const auto prompt = random_tokens(9, 40, model->config().vocabulary);
  EXPECT_TRUE(session->begin(prompt));
  while (static_cast<std::int64_t>(session->text().size()) < text_size) {
    const auto round =
        session->round(text_size - static_cast<std::int64_t>(session->text().size()));
    EXPECT_TRUE(round) << show(round.error());
    if (!round) break;
  }
  if (stats != nullptr) *stats = session->stats();
  return {session->text().begin(), session->text().end()};
}

std::vector<SamplingOptions> samplings() {
  SamplingOptions drawn;
  drawn.temperature = 0.9;
  drawn.seed = 7;
  return {{}, drawn};
}

// The target of the golden drafts: their width, vocabulary and at least 6 layers.
std::shared_ptr<const Model> target() {
  TinySpec spec;
  spec.layers = 6;
  spec.width = 32;
  spec.head_dim = 8;
  spec.vocabulary = 131;
  return load_tiny(spec);
}

TEST(FeatureDrafters, DsparkChangesNoText) {
  const auto model = target();
  ASSERT_NE(model, nullptr);
  for (const char* name : {"first", "gated", "rnn", "bonus", "bonus_rnn", "dflash"}) {
    auto weights = draft::DsparkModel::load(
        (std::string(KEDGE_GOLDEN_DIR "/dspark/") + name).c_str(), model, {});
    ASSERT_TRUE(weights) << show(weights.error());
    for (const SamplingOptions& sampling : samplings()) {
      auto drafter = draft::Dspark::create(*weights, *Cpu::create({}), {.positions = 256});
      ASSERT_TRUE(drafter) << show(drafter.error());
      Stats stats;
      const auto text =
          write(model, *draft::AnyDrafter::make(*std::move(drafter)), sampling, &stats);
      EXPECT_EQ(text, write(model, {}, sampling)) << name;
      EXPECT_GT(stats.proposed, 100) << name;
    }
  }
}

TEST(FeatureDrafters, MtpChangesNoText) {
  const auto files = ModelFiles::open(KEDGE_GOLDEN_DIR "/hybrid/two.gguf");
  ASSERT_TRUE(files);
  auto model = Model::load(*files, {});
  ASSERT_TRUE(model) << show(model.error());
  auto weights = draft::MtpModel::load(*files, *model, {});
  ASSERT_TRUE(weights) << show(weights.error());
  for (const SamplingOptions& sampling : samplings()) {
    auto drafter = draft::Mtp::create(*weights, *Cpu::create({}), {.length = 4, .positions = 256});
    ASSERT_TRUE(drafter) << show(drafter.error());
    Stats stats;
    const auto text =
        write(*model, *draft::AnyDrafter::make(*std::move(drafter)), sampling, &stats);
    EXPECT_EQ(text, write(*model, {}, sampling));
    EXPECT_GT(stats.proposed, 60);
  }
}

}  // namespace
}  // namespace kedge::tests
