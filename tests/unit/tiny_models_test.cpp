// Small random models of every architecture, as GGUF and as folders, against the logits that
// transformers gives them (tests/golden/tiny_models.py). In F32, with keys and values in F32, so
// that what is left is the rounding of sums: 1e-4 of a row's largest logit is far above that and
// far below any mistake in a formula, a scale or an order of heads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kedge/io/safetensors.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/model/model.hpp"
#include "kedge/state/sequence.hpp"
#include "unit/golden_file.hpp"

namespace {

using namespace kedge;
using kedge_test::golden_tolerance;
using kedge_test::values;

struct Golden {
  std::vector<std::int32_t> tokens;
  std::vector<float> logits;  // [tokens, vocabulary]
  std::int64_t vocabulary = 0;
};

// "qwen2.gguf", or "qwen2" for the folder of that name.
std::string tiny_path(const std::string& name) {
  return std::string(KEDGE_GOLDEN_DIR "/tiny/") + name;
}

class TinyModels : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string name = GetParam();
    auto model = Model::load(tiny_path(name).c_str(), {});
    ASSERT_TRUE(model) << model.error().place << ": " << model.error().reason;
    model_ = *model;
    if (name.ends_with(".gguf")) name.resize(name.size() - 5);
    auto file = io::Safetensors::open(tiny_path(name + ".safetensors").c_str());
    ASSERT_TRUE(file) << file.error().place << ": " << file.error().reason;
    golden_.tokens = values<std::int32_t>(*file, "tokens");
    golden_.logits = values<float>(*file, "logits");
    golden_.vocabulary = model_->config().vocabulary;
    ASSERT_GE(golden_.tokens.size(), 40u);
    ASSERT_EQ(golden_.logits.size(),
              golden_.tokens.size() * static_cast<std::size_t>(golden_.vocabulary));
  }

  // All logits, computed `width` rows at a time.
  std::vector<float> run(cpu::Isa isa, std::size_t width) const {
    std::vector<float> result;
    const auto ok = [&](const auto& value) {
      EXPECT_TRUE(value) << value.error().place << ": " << value.error().reason;
      return value.has_value();
    };
    const auto count = static_cast<std::int64_t>(golden_.tokens.size());
    auto cpu = Cpu::create({isa, nullptr});
    KvCache::Options kv;
    kv.element = Element::f32;
    kv.positions = count;
    const ModelConfig& c = model_->config();
    auto cache = KvCache::create(c.attention_layers(), c.kv_heads, c.head_dim, kv);
    if (!ok(cpu) || !ok(cache)) return result;
    Forward::Options options;
    options.max_rows = options.max_outputs = count;
    auto forward = Forward::create(model_, *cpu, *cache, options);
    auto sequence = Sequence::create(*cache);
    if (!ok(forward) || !ok(sequence)) return result;
    for (std::size_t first = 0; first < golden_.tokens.size(); first += width) {
      const std::size_t rows = std::min(width, golden_.tokens.size() - first);
      auto transaction = sequence->begin(static_cast<std::int64_t>(rows));
      if (!ok(transaction)) return result;
      std::vector<Row> batch;
      for (std::size_t i = 0; i < rows; ++i)
        batch.push_back({golden_.tokens[first + i], static_cast<std::int32_t>(first + i),
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
  Golden golden_;
};

TEST_P(TinyModels, GivesTheLogitsOfTransformers) {
  const std::vector<float> logits = run(cpu::Isa::best, golden_.tokens.size());
  ASSERT_EQ(logits.size(), golden_.logits.size());
  const auto width = static_cast<std::size_t>(golden_.vocabulary);
  double worst = 0;
  for (std::size_t row = 0; row < golden_.tokens.size(); ++row) {
    double difference = 0, largest = 0;
    for (std::size_t i = row * width; i < (row + 1) * width; ++i) {
      ASSERT_FALSE(std::isnan(logits[i])) << "row " << row;
      difference = std::max(difference, std::fabs(double{logits[i]} - double{golden_.logits[i]}));
      largest = std::max(largest, std::fabs(double{golden_.logits[i]}));
    }
    EXPECT_LE(difference, golden_tolerance * largest) << "row " << row;
    worst = std::max(worst, difference / largest);
  }
  RecordProperty("worst_relative_difference", std::to_string(worst));
}

TEST_P(TinyModels, GivesEqualBytesOnEveryIsaAndWidth) {
  const std::vector<float> expected = run(cpu::Isa::scalar, golden_.tokens.size());
  ASSERT_EQ(expected.size(), golden_.logits.size());
  for (const cpu::Isa isa : cpu::isas) {
    if (!cpu::isa_available(isa)) continue;
    for (const std::size_t width : {1u, 3u, 16u, 40u}) {
      const std::vector<float> found = run(isa, width);
      ASSERT_EQ(found.size(), expected.size());
      const std::size_t bytes = expected.size() * sizeof(float);
      if (std::memcmp(found.data(), expected.data(), bytes) == 0) continue;
      std::size_t i = 0;
      while (std::memcmp(&found[i], &expected[i], sizeof(float)) == 0) ++i;
      const auto vocabulary = static_cast<std::size_t>(golden_.vocabulary);
      ADD_FAILURE() << to_string(isa) << ", width " << width << ": position " << i / vocabulary
                    << ", logit " << i % vocabulary << ": " << found[i] << ", not " << expected[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, TinyModels,
                         testing::Values("grouped.gguf", "linear.gguf", "llama3.gguf",
                                         "wide_head.gguf", "biased.gguf", "biased", "qwen2.gguf",
                                         "qwen2", "qwen3.gguf", "qwen3"),
                         [](const auto& parameter) {
                           std::string name = parameter.param;
                           const auto dot = name.find('.');
                           return dot == std::string::npos ? name + "_folder" : name.substr(0, dot);
                         });

}  // namespace
