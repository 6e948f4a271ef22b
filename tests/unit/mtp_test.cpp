// The layer that predicts further tokens against what transformers' own layers compute
// (tests/golden/mtp.py), from GGUF and from a folder, in F32.
#include "kedge/draft/mtp.hpp"

#include <algorithm>
#include <cmath>

#include "unit/dspark_golden.hpp"

namespace kedge::tests {
namespace {

using draft::Ask;
using draft::Draft;
using draft::Mtp;
using draft::MtpModel;

const SamplingOptions mtp_greedy;

std::string file_of(const std::string& name) {
  return std::string(KEDGE_GOLDEN_DIR "/hybrid/") + name;
}

Result<Mtp> make(const std::string& name, std::int64_t length, std::int64_t rows) {
  KEDGE_TRY(const ModelFiles files, ModelFiles::open(file_of(name).c_str()));
  KEDGE_TRY(std::shared_ptr<const Model> target, Model::load(files, {}));
  KEDGE_TRY(std::shared_ptr<const MtpModel> model, MtpModel::load(files, std::move(target), {}));
  Mtp::Options options;
  options.length = length;
  options.positions = 200;
  options.rows = rows;
  options.cache = Element::f32;
  return Mtp::create(std::move(model), *Cpu::create({}), options);
}

class MtpGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(MtpGolden, GuessesWhatTheLayerGuesses) {
  const Golden golden("../hybrid/two_mtp");
  ASSERT_EQ(golden.length, 4u);
  for (std::int64_t length = 1; length <= 4; ++length) {
    auto made = make(GetParam(), length, length % 2 == 0 ? 7 : 256);
    ASSERT_TRUE(made) << show(made.error());
    Mtp drafter = *std::move(made);
    auto draft = *Draft::create({});
    for (std::size_t round = 0; round < golden.rounds; ++round) {
      go_to_round(drafter, golden, round, round % 2 == 0 ? 1000 : 3);
      for (int again = 0; again < 2; ++again) {
        Ask ask;
        ask.count = 31;
        ask.position = golden.anchors[round] + 1;
        ask.sampling = &mtp_greedy;
        draft.clear();
        const Status status = drafter.propose(ask, draft);
        ASSERT_TRUE(status) << show(status.error());
        ASSERT_EQ(draft.size(), length);
        for (std::size_t j = 0; j < std::size_t(length); ++j)
          EXPECT_EQ(draft.tokens()[j], golden.drafts[round * 4 + j]) << round << ", " << j;
        const float* expected =
            golden.logits.data() + (round * 4 + std::size_t(length) - 1) * golden.vocabulary;
        const auto found = drafter.logits();
        ASSERT_EQ(found.size(), golden.vocabulary);
        double worst = 0, largest = 0;
        for (std::size_t i = 0; i < golden.vocabulary; ++i) {
          worst = std::max(worst, std::fabs(double{found[i]} - expected[i]));
          largest = std::max(largest, std::fabs(double{expected[i]}));
        }
        EXPECT_LE(worst, 1e-4 * largest) << "round " << round << ", guess " << length - 1;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, MtpGolden, ::testing::Values("two", "two.gguf"),
                         [](const auto& param_info) {
                           std::string name = param_info.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

// A text that was cut right behind what is state: the row that guesses is made again.
TEST(Mtp, GuessesBehindACut) {
  const Golden golden("../hybrid/two_mtp");
  auto drafter = make("two.gguf", 4, 256);
  ASSERT_TRUE(drafter) << show(drafter.error());
  auto draft = *Draft::create({});
  Ask ask;
  ask.count = 31;
  ask.sampling = &mtp_greedy;
  ASSERT_TRUE(drafter->begin(golden.text(0, 60)));
  ASSERT_TRUE(drafter->evaluated(0, golden.rows(0, 59)));
  ask.position = 60;
  ASSERT_TRUE(drafter->propose(ask, draft));
  const std::int64_t anchor = golden.anchors[3];
  ASSERT_TRUE(drafter->truncate(anchor + 1));
  draft.clear();
  ask.position = anchor + 1;
  ASSERT_TRUE(drafter->propose(ask, draft));
  ASSERT_EQ(draft.size(), 4);
  for (std::size_t j = 0; j < 4; ++j) EXPECT_EQ(draft.tokens()[j], golden.drafts[3 * 4 + j]);
}

TEST(Mtp, ModelsWithoutTheLayerAreErrors) {
  const auto made = make("one.gguf", 3, 256);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::not_found);
  EXPECT_NE(std::strstr(made.error().reason, "nextn_predict_layers"), nullptr)
      << show(made.error());
}

}  // namespace
}  // namespace kedge::tests
