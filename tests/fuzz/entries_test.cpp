// The fuzzers' entry points on good inputs and on what chance makes of them: short, but in every
// run of the tests.
#include "fuzz/entries.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "kedge/draft/ngram_counts.hpp"

namespace {

using Entry = int (*)(const std::uint8_t*, std::size_t);

std::string contents(const std::string& name) {
  std::ifstream file(std::string(KEDGE_GOLDEN_DIR "/tiny/") + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// In a block of exactly its size, so that AddressSanitizer sees one byte too far.
void run(Entry entry, const std::string& text) {
  const std::vector<std::uint8_t> bytes(text.begin(), text.end());
  ASSERT_EQ(entry(bytes.data(), bytes.size()), 0);
}

void mutate(Entry entry, const std::string& good, std::size_t range) {
  run(entry, good);
  run(entry, "");
  constexpr unsigned seed = 5;
  std::mt19937 random(seed);
  range = std::min(range, good.size());
  for (int i = 0; i < 200; ++i) {
    std::string text = good;
    for (auto n = 1 + random() % 3; n > 0; --n) {
      const std::size_t at = random() % range;
      const auto kind = random() % 4;
      if (kind == 0) text[at] = static_cast<char>(random());
      else if (kind == 1) text[at] = "0123456789{}[],:\"-e"[random() % 19];
      else if (kind == 2) text.erase(at, 1 + random() % 8);
      else text.insert(at, text.substr(random() % range, random() % 16));
      range = std::min(range, text.size());
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", text " << i);
    run(entry, text);
  }
}

TEST(FuzzEntries, Gguf) { mutate(fuzz_gguf, contents("qwen2.gguf"), 3000); }
TEST(FuzzEntries, Safetensors) { mutate(fuzz_safetensors, contents("qwen3.safetensors"), 300); }
TEST(FuzzEntries, FolderIndex) {
  mutate(fuzz_folder_index, contents("qwen2/model.safetensors.index.json"), 1 << 20);
}
TEST(FuzzEntries, Config) { mutate(fuzz_config, contents("qwen3/config.json"), 1 << 20); }
TEST(FuzzEntries, Draft) {
  mutate(fuzz_draft, contents("../dspark/gated/config.json"), 1 << 20);
  mutate(fuzz_draft, contents("../dspark/model_optimizer/config.json"), 1 << 20);
  // What fuzz_draft's own weights fit to: the whole way to a model.
  mutate(fuzz_draft,
         "{\"architectures\": [\"Qwen3DSparkModel\"], \"hidden_size\": 4, "
         "\"intermediate_size\": 4, \"num_hidden_layers\": 1, \"num_attention_heads\": 1, "
         "\"head_dim\": 4, \"vocab_size\": 4, \"rms_norm_eps\": 1e-5, \"rope_theta\": 5e3, "
         "\"block_size\": 3, \"max_position_embeddings\": 9, \"target_layer_ids\": [1], "
         "\"mask_token_id\": 3, \"markov_rank\": 4, \"markov_head_type\": \"gated\", "
         "\"layer_types\": [\"sliding_attention\"], \"sliding_window\": 5}",
         1 << 20);
}
TEST(FuzzEntries, Json) { mutate(fuzz_json, contents("biased/config.json"), 1 << 20); }

TEST(FuzzEntries, Package) { mutate(fuzz_package, contents("../packages/draft.json"), 1 << 20); }

TEST(FuzzEntries, NgramCounts) {
  std::vector<std::byte> bytes;
  kedge::io::Sink sink = kedge::io::Sink::memory(bytes);
  auto counts = kedge::draft::NgramCounts::create(kedge::draft::NgramCounts::for_text(40));
  ASSERT_TRUE(counts);
  const std::int32_t text[] = {1, 2, 3, 1, 2, 4, 1, 2, 3, 3, 3, 1, 2, 5};
  ASSERT_TRUE(counts->learn(text, 0, 1, 4));
  ASSERT_TRUE(counts->save(sink));
  mutate(fuzz_ngram_counts, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, 1 << 20);
}

// What fuzz_config's own weights fit to: the whole way to a model.
TEST(FuzzEntries, AConfigThatFits) {
  mutate(fuzz_config,
         "{\"model_type\": \"llama\", \"hidden_size\": 4, \"intermediate_size\": 4, "
         "\"num_hidden_layers\": 1, \"num_attention_heads\": 1, \"max_position_embeddings\": 9, "
         "\"rms_norm_eps\": 1e-5, \"vocab_size\": 3, \"rope_theta\": 10000.0, "
         "\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 2.5}}",
         1 << 20);
}

// What the fuzzers found worth keeping: every file of the committed corpora.
void replay(Entry entry, const char* name) {
  int count = 0;
  for (const auto& item : std::filesystem::directory_iterator(
           KEDGE_SOURCE_DIR "/tests/fuzz/corpus/" + std::string(name))) {
    SCOPED_TRACE(item.path());
    std::ifstream file(item.path(), std::ios::binary);
    const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(file),
                                          std::istreambuf_iterator<char>()};
    ASSERT_EQ(entry(bytes.data(), bytes.size()), 0);
    ++count;
  }
  EXPECT_GE(count, 10) << name;
}

TEST(FuzzEntries, Corpora) {
  replay(fuzz_gguf, "gguf");
  replay(fuzz_safetensors, "safetensors");
  replay(fuzz_folder_index, "folder_index");
  replay(fuzz_config, "config");
  replay(fuzz_draft, "draft");
  replay(fuzz_json, "json");
  replay(fuzz_ngram_counts, "ngram_counts");
  replay(fuzz_package, "package");
}

}  // namespace
