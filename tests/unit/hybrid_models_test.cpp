// Small random hybrid models, as GGUF and as folders, against the logits that transformers gives
// them (tests/golden/tiny_hybrids.py). In F32, with keys and values in F32, so that what is left is
// the rounding of sums: 1e-4 of a row's largest logit is far above that and far below any mistake
// in a formula, a map of heads or an order of channels.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kedge/io/safetensors.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/model/model.hpp"
#include "kedge/state/recurrent_state.hpp"
#include "kedge/state/sequence.hpp"
#include "unit/golden_file.hpp"

namespace {

using namespace kedge;
using kedge_test::golden_tolerance;
using kedge_test::values;

std::string hybrid_path(const std::string& name) {
  return std::string(KEDGE_GOLDEN_DIR "/hybrid/") + name;
}

class HybridModels : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string name = GetParam();
    auto model = Model::load(hybrid_path(name).c_str(), {});
    ASSERT_TRUE(model) << model.error().place << ": " << model.error().reason;
    model_ = *model;
    if (name.ends_with(".gguf")) name.resize(name.size() - 5);
    auto file = io::Safetensors::open(hybrid_path(name + ".safetensors").c_str());
    ASSERT_TRUE(file) << file.error().place << ": " << file.error().reason;
    tokens_ = values<std::int32_t>(*file, "tokens");
    expected_ = values<float>(*file, "logits");
    vocabulary_ = static_cast<std::size_t>(model_->config().vocabulary);
    ASSERT_EQ(tokens_.size(), 72u);
    ASSERT_EQ(expected_.size(), tokens_.size() * vocabulary_);
  }

  // All logits, computed `width` rows at a time.
  std::vector<float> run(cpu::Isa isa, std::size_t width) const {
    std::vector<float> result;
    const auto ok = [&](const auto& value) {
      EXPECT_TRUE(value) << value.error().place << ": " << value.error().reason;
      return value.has_value();
    };
    const auto count = static_cast<std::int64_t>(tokens_.size());
    const ModelConfig& c = model_->config();
    auto cpu = Cpu::create({isa, nullptr});
    KvCache::Options kv;
    kv.element = Element::f32;
    kv.positions = count;
    auto cache = KvCache::create(c.attention_layers(), c.kv_heads, c.head_dim, kv);
    auto recurrent = RecurrentState::create(c.recurrent, {});
    if (!ok(cpu) || !ok(cache) || !ok(recurrent)) return result;
    Forward::Options options;
    options.max_rows = options.max_outputs = count;
    auto forward = Forward::create(model_, *cpu, *cache, options, &*recurrent);
    auto sequence = Sequence::create(*cache, &*recurrent);
    if (!ok(forward) || !ok(sequence)) return result;
    for (std::size_t first = 0; first < tokens_.size(); first += width) {
      const std::size_t rows = std::min(width, tokens_.size() - first);
      auto transaction = sequence->begin(static_cast<std::int64_t>(rows), 1);
      if (!ok(transaction)) return result;
      std::vector<Row> batch;
      for (std::size_t i = 0; i < rows; ++i)
        batch.push_back({tokens_[first + i], static_cast<std::int32_t>(first + i),
                         sequence->index(), Need::logits});
      if (!ok(forward->run(batch))) return result;
      for (std::size_t i = 0; i < rows; ++i) {
        const auto logits = forward->logits(static_cast<std::int64_t>(i));
        result.insert(result.end(), logits.begin(), logits.end());
      }
      if (!ok(transaction->commit(static_cast<std::int64_t>(rows)))) return result;
    }
    return result;
  }

  std::shared_ptr<const Model> model_;
  std::vector<std::int32_t> tokens_;
  std::vector<float> expected_;
  std::size_t vocabulary_ = 0;
};

TEST_P(HybridModels, GiveTheLogitsOfTransformers) {
  const std::vector<float> logits = run(cpu::Isa::best, tokens_.size());
  ASSERT_EQ(logits.size(), expected_.size());
  double worst = 0;
  for (std::size_t row = 0; row < tokens_.size(); ++row) {
    double difference = 0, largest = 0;
    for (std::size_t i = row * vocabulary_; i < (row + 1) * vocabulary_; ++i) {
      difference = std::max(difference, std::fabs(double(logits[i]) - expected_[i]));
      largest = std::max(largest, std::fabs(double(expected_[i])));
    }
    worst = std::max(worst, difference / largest);
    EXPECT_LE(difference, golden_tolerance * largest) << GetParam() << ", row " << row;
  }
  std::printf("  %s: worst relative difference %.3g\n", GetParam(), worst);
}

// Whatever the rows of a pass and the ISA.
TEST_P(HybridModels, GiveTheSameBytesHoweverTheyRun) {
  const std::vector<float> logits = run(cpu::Isa::scalar, 1);
  ASSERT_EQ(logits.size(), expected_.size());
  for (const std::size_t width :
       {std::size_t{1}, std::size_t{3}, std::size_t{16}, tokens_.size()}) {
    const std::vector<float> other = run(cpu::Isa::best, width);
    ASSERT_EQ(other.size(), logits.size());
    EXPECT_EQ(std::memcmp(other.data(), logits.data(), logits.size() * sizeof(float)), 0)
        << width << " rows at a time";
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, HybridModels,
                         testing::Values("one.gguf", "two.gguf", "three.gguf", "unequal.gguf",
                                         "short.gguf", "one", "two", "three", "unequal", "short"),
                         [](const auto& file) {
                           std::string name = file.param;
                           const bool gguf = name.ends_with(".gguf");
                           return gguf ? name.substr(0, name.size() - 5) + "_gguf" : name;
                         });

}  // namespace
