// Tokenizer and chat template from GGUF files: one made here, and SmolLM2's own.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "golden/tokenizer_golden.hpp"
#include "kedge/io/gguf.hpp"

namespace {

using namespace kedge;
using namespace kedge::text;
using namespace kedge_test;

// Just enough of the format: metadata and no tensors.
class Metadata {
 public:
  void string(const char* key, const std::string& value) {
    begin(key, 8);
    put(value);
  }
  void u32(const char* key, std::uint32_t value) {
    begin(key, 4);
    put(value);
  }
  void boolean(const char* key, bool value) {
    begin(key, 7);
    put(static_cast<std::uint8_t>(value));
  }
  void strings(const char* key, const std::vector<std::string>& values) {
    begin(key, 9);
    put(std::uint32_t{8});
    put(static_cast<std::uint64_t>(values.size()));
    for (const std::string& value : values) put(value);
  }
  void types(const char* key, const std::vector<TokenType>& values) {
    begin(key, 9);
    put(std::uint32_t{5});
    put(static_cast<std::uint64_t>(values.size()));
    for (const TokenType value : values) put(static_cast<std::int32_t>(value));
  }
  std::string file() const {
    Metadata head;
    head.put(std::uint32_t{0x46554747});
    head.put(std::uint32_t{3});
    head.put(std::uint64_t{0});
    head.put(count_);
    return head.bytes_ + bytes_;
  }

 private:
  template <class T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(const std::string& value) {
    put(static_cast<std::uint64_t>(value.size()));
    bytes_ += value;
  }
  void begin(const char* key, std::uint32_t type) {
    ++count_;
    put(std::string(key));
    put(type);
  }
  std::string bytes_;
  std::uint64_t count_ = 0;
};

Metadata small_metadata(const std::string& without = "") {
  const TokenizerData data = small_data();
  Metadata meta;
  const auto wanted = [&](const char* key) { return without != key; };
  if (wanted("tokenizer.ggml.model")) meta.string("tokenizer.ggml.model", "gpt2");
  if (wanted("tokenizer.ggml.pre")) meta.string("tokenizer.ggml.pre", "smollm");
  if (wanted("tokenizer.ggml.tokens")) meta.strings("tokenizer.ggml.tokens", data.tokens);
  if (wanted("tokenizer.ggml.token_type")) meta.types("tokenizer.ggml.token_type", data.types);
  if (wanted("tokenizer.ggml.merges")) meta.strings("tokenizer.ggml.merges", data.merges);
  meta.u32("tokenizer.ggml.bos_token_id", 1);
  meta.u32("tokenizer.ggml.eos_token_id", 0);
  return meta;
}

Result<io::Gguf> open(const std::string& file) {
  return io::Gguf::open(io::Source::memory(std::as_bytes(std::span(file)), "made.gguf"));
}

TEST(TextFromGguf, ReadsATokenizer) {
  Metadata meta = small_metadata();
  meta.u32("tokenizer.ggml.unknown_token_id", 0);
  meta.u32("tokenizer.ggml.padding_token_id", 2);
  meta.u32("tokenizer.ggml.eot_token_id", 3);
  meta.boolean("tokenizer.ggml.add_bos_token", true);
  const std::string bytes = meta.file();
  const auto file = open(bytes);
  ASSERT_TRUE(file) << file.error().place << ": " << file.error().reason;
  const auto tokenizer = Tokenizer::from_gguf(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().place << ": " << tokenizer.error().reason;
  expect_cases(*tokenizer, small_golden(), "smollm");
  EXPECT_EQ(tokenizer->bos(), std::optional<std::int32_t>(1));
  EXPECT_EQ(tokenizer->eos(), std::optional<std::int32_t>(0));
  EXPECT_EQ(tokenizer->unknown(), std::optional<std::int32_t>(0));
  EXPECT_EQ(tokenizer->padding(), std::optional<std::int32_t>(2));
  EXPECT_TRUE(tokenizer->add_bos());
  // eos, <|im_end|> by its text, eot by its key
  EXPECT_EQ(Ids(tokenizer->ends().begin(), tokenizer->ends().end()), (Ids{0, 2, 3}));
}

TEST(TextFromGguf, NamesTheKeyAtFault) {
  for (const char* key : {"tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens",
                          "tokenizer.ggml.token_type", "tokenizer.ggml.merges"}) {
    const std::string bytes = small_metadata(key).file();
    const auto file = open(bytes);
    ASSERT_TRUE(file) << file.error().reason;
    const auto tokenizer = Tokenizer::from_gguf(*file);
    ASSERT_FALSE(tokenizer) << key;
    EXPECT_EQ(tokenizer.error().code, Code::not_found);
    const std::string all = std::string(tokenizer.error().place) + tokenizer.error().reason;
    EXPECT_NE(all.find(key), std::string::npos) << all;
  }
  const auto broken = [](auto change) {
    Metadata meta = small_metadata("tokenizer.ggml.token_type");
    change(meta);
    const std::string bytes = meta.file();
    const auto file = open(bytes);
    if (!file) return std::string("not a GGUF file: ") + file.error().reason;
    const auto tokenizer = Tokenizer::from_gguf(*file);
    if (tokenizer) return std::string("no error");
    return std::string(tokenizer.error().place) + ": " + tokenizer.error().reason;
  };
  EXPECT_NE(broken([](Metadata& meta) {
              meta.strings("tokenizer.ggml.token_type", {"1"});
            }).find("tokenizer.ggml.token_type"),
            std::string::npos);
  EXPECT_NE(broken([](Metadata& meta) {
              std::vector<TokenType> types = small_data().types;
              types[5] = static_cast<TokenType>(6);
              meta.types("tokenizer.ggml.token_type", types);
            }).find("token 5 has type 6"),
            std::string::npos);
  EXPECT_NE(broken([](Metadata& meta) {
              meta.types("tokenizer.ggml.token_type", small_data().types);
              meta.u32("tokenizer.ggml.padding_token_id", 0xFFFFFFFF);
            }).find("4294967295"),
            std::string::npos);
}

TEST(TextFromGguf, ReadsAChatTemplate) {
  Metadata meta = small_metadata();
  {
    const std::string bytes = meta.file();
    const auto file = open(bytes);
    ASSERT_TRUE(file);
    const auto none = ChatTemplate::from_gguf(*file);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::not_found);
  }
  meta.string("tokenizer.chat_template", small_golden()["templates"]["smollm2"]);
  const std::string bytes = meta.file();
  const auto file = open(bytes);
  ASSERT_TRUE(file);
  const auto format = ChatTemplate::from_gguf(*file);
  ASSERT_TRUE(format) << format.error().reason;
  EXPECT_EQ(format->name(), "smollm2");
}

TEST(TextFromGguf, SmolLM2MatchesTheTokenizersPackage) {
  const char* chosen = std::getenv("KEDGE_MODEL");
  const std::string path =
      chosen != nullptr ? chosen
                        : std::string(KEDGE_SOURCE_DIR) + "/models/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs the model " << path;
  auto source = io::Source::open(path.c_str());
  ASSERT_TRUE(source) << source.error().reason;
  const auto file = io::Gguf::open(*std::move(source));
  ASSERT_TRUE(file) << file.error().place << ": " << file.error().reason;
  const auto tokenizer = Tokenizer::from_gguf(*file);
  ASSERT_TRUE(tokenizer) << tokenizer.error().place << ": " << tokenizer.error().reason;
  const auto format = ChatTemplate::from_gguf(*file);
  ASSERT_TRUE(format) << format.error().reason;
  EXPECT_EQ(format->name(), "smollm2");
  const json golden = read_golden("tokenizer_smollm2.json");
  expect_cases(*tokenizer, golden, "smollm");
  expect_chats(*tokenizer, golden);
  EXPECT_EQ(tokenizer->size(), 49152);
  EXPECT_EQ(Ids(tokenizer->ends().begin(), tokenizer->ends().end()), (Ids{0, 2}));
  EXPECT_FALSE(tokenizer->add_bos());

  Ids missing;
  for (int byte = 0; byte < 256; ++byte) {
    if (!tokenizer->encode(std::string(1, static_cast<char>(byte)))) missing.push_back(byte);
  }
  EXPECT_EQ(missing, golden["missing"].get<Ids>());
}

}  // namespace
