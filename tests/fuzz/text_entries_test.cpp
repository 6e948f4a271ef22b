// The text fuzzers' entry points on good files and on what chance makes of them: short, but in
// every run of the tests.
#include "fuzz/text_entries.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace {

using Entry = int (*)(const std::uint8_t*, std::size_t);

std::string contents(const std::string& name) {
  std::ifstream file(std::string(KEDGE_GOLDEN_DIR "/tokenizers/") + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void mutate(Entry entry, const std::string& good) {
  constexpr unsigned seed = 7;
  std::mt19937 random(seed);
  for (int i = 0; i < 100; ++i) {
    std::string text = good;
    // The first and the last texts of a file have most of its structure.
    const std::size_t range = 2500;
    for (auto n = i == 0 ? 0 : 1 + random() % 3; n > 0; --n) {
      std::size_t at = random() % range;
      if (random() % 2 == 0) at = text.size() - 1 - at;
      const auto kind = random() % 4;
      if (kind == 0) text[at] = static_cast<char>(random());
      else if (kind == 1) text[at] = "0123456789{}[],:\"-\\"[random() % 19];
      else if (kind == 2) text.erase(at, 1 + random() % 8);
      else text.insert(at, text.substr(random() % range, random() % 16));
    }
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", text " << i);
    // In a block of exactly its size, so that AddressSanitizer sees one byte too far.
    const std::vector<std::uint8_t> bytes(text.begin(), text.end());
    ASSERT_EQ(entry(bytes.data(), bytes.size()), 0);
  }
}

TEST(TextFuzzEntries, TokenizerJson) {
  for (const char* name : {"qwen35", "llama", "unigram", "steps"}) {
    SCOPED_TRACE(name);
    mutate(fuzz_tokenizer, contents(std::string(name) + "/tokenizer.json"));
  }
}
TEST(TextFuzzEntries, TokenizerGguf) {
  for (const char* name : {"llama-bpe", "llama"}) {
    SCOPED_TRACE(name);
    mutate(fuzz_tokenizer_gguf, contents(std::string(name) + "/tokenizer.gguf"));
  }
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

TEST(TextFuzzEntries, Corpora) {
  replay(fuzz_tokenizer, "tokenizer");
  replay(fuzz_tokenizer_gguf, "tokenizer_gguf");
}

}  // namespace
