// Every family's tokenizer against the `tokenizers` package's ids, from tokenizer.json and GGUF.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "golden/tokenizer_golden.hpp"
#include "kedge/io/gguf.hpp"
#include "kedge/text/stream_decoder.hpp"
#include "kedge/text/utf8.hpp"

namespace {

using namespace kedge;
using namespace kedge::text;
using namespace kedge_test;

struct FamilyCase {
  const char* name;
  bool gguf;      // GGUF can say it
  bool lossless;  // decode(encode(text)) is text
};
constexpr FamilyCase families[] = {
    {"gpt-2", true, true},   {"smollm", true, true},      {"llama-bpe", true, true},
    {"qwen2", true, false},  {"qwen35", true, false},     {"chatglm-bpe", true, true},
    {"llama", true, false},  {"metaspace", false, false}, {"unigram", false, false},
    {"steps", false, false},
};
std::string folder(const char* name) {
  return std::string(KEDGE_GOLDEN_DIR) + "/tokenizers/" + name;
}

std::vector<Tokenizer> tokenizers_of(const FamilyCase& family) {
  std::vector<Tokenizer> all;
  auto made = Tokenizer::from_folder(folder(family.name).c_str());
  if (!made) ADD_FAILURE() << made.error().place << ": " << made.error().reason;
  else all.push_back(*std::move(made));
  if (!family.gguf) return all;
  const auto file = io::Gguf::open((folder(family.name) + "/tokenizer.gguf").c_str());
  if (!file) ADD_FAILURE() << file.error().place << ": " << file.error().reason;
  if (!file) return all;
  auto from_gguf = Tokenizer::from_gguf(*file);
  if (!from_gguf) ADD_FAILURE() << from_gguf.error().place << ": " << from_gguf.error().reason;
  else all.push_back(*std::move(from_gguf));
  return all;
}

class Families : public testing::TestWithParam<FamilyCase> {};

TEST_P(Families, MatchTheTokenizersPackage) {
  const json golden = read_golden("tokenizers/" + std::string(GetParam().name) + "/golden.json");
  ASSERT_GT(golden["cases"].size(), 170u);
  const std::vector<Tokenizer> all = tokenizers_of(GetParam());
  ASSERT_EQ(all.size(), GetParam().gguf ? 2u : 1u);
  for (const Tokenizer& tokenizer : all) {
    SCOPED_TRACE(&tokenizer == all.data() ? "tokenizer.json" : "GGUF");
    EXPECT_EQ(Ids(tokenizer.prefix().begin(), tokenizer.prefix().end()),
              golden["prefix"].get<Ids>());
    std::size_t with_special = 0;
    for (const json& one : golden["cases"]) {
      const std::string text = golden_text(one["text"]);
      SCOPED_TRACE(one["text"].dump());
      const auto plain = tokenizer.encode(text);
      ASSERT_TRUE(plain) << plain.error().reason;
      // Plain text never becomes a special token, but for the unknown one.
      for (const std::int32_t id : *plain)
        EXPECT_TRUE(!tokenizer.is_special(id) || id == tokenizer.unknown()) << id;
      if (one.contains("ids")) {
        EXPECT_EQ(*plain, one["ids"].get<Ids>());
      }
      const auto special = tokenizer.encode(text, {.parse_special = true});
      ASSERT_TRUE(special) << special.error().reason;
      EXPECT_EQ(*special, one[one.contains("special") ? "special" : "ids"].get<Ids>());
      with_special += *special != *plain;
      const auto back = tokenizer.decode(*plain);
      ASSERT_TRUE(back);
      if (GetParam().lossless) {
        EXPECT_EQ(*back, text);
      }
    }
    EXPECT_GT(with_special, 0u);
  }
}

TEST_P(Families, TakeAnyBytesAndStreamThemAsDecoded) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const Tokenizer& tokenizer : tokenizers_of(GetParam())) {
    auto made = StreamDecoder::create(tokenizer, false, /*begins_text=*/true);
    ASSERT_TRUE(made);
    for (int round = 0; round < 300; ++round) {
      std::string text;
      while (text.size() < random() % 40) {
        static const std::string pieces[] = {
            "the ", "\xF0\x9F\x98\x80", "\xC3",  "\xE4\xBD\xA0", "e\u0301 ",
            "</s>", "<tool>",           "<0x41>"};
        if (random() % 2) text.push_back(static_cast<char>(random()));
        else text += pieces[random() % std::size(pieces)];
      }
      const auto ids = tokenizer.encode(text, {.drop_missing_bytes = true});
      ASSERT_TRUE(ids) << ids.error().reason;
      const auto back = tokenizer.decode(*ids);
      ASSERT_TRUE(back);
      if (GetParam().lossless) {
        ASSERT_EQ(*back, text);
      }
      std::string streamed;
      for (const std::int32_t id : *ids) streamed += made->push(id);
      streamed += made->finish();
      ASSERT_EQ(streamed, *back);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Families, testing::ValuesIn(families), [](const auto& family) {
  std::string name = family.param.name;
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
});

TEST(Families, SentencePieceKeepsEveryTextAndItsSpaces) {
  for (const Tokenizer& tokenizer : tokenizers_of({"llama", true, false})) {
    for (const char* text : {"", " ", "  ", "a", " a", "a ", "\xFF", " \xFFx", "\n\n a  b\t"}) {
      const auto ids = tokenizer.encode(text);
      ASSERT_TRUE(ids);
      const auto back = tokenizer.decode(*ids);
      ASSERT_TRUE(back);
      EXPECT_EQ(*back, text);
      // What continues a prompt keeps its space.
      auto stream = StreamDecoder::create(tokenizer);
      ASSERT_TRUE(stream);
      std::string streamed;
      for (const std::int32_t id : *ids) streamed += stream->push(id);
      streamed += stream->finish();
      EXPECT_EQ(streamed, *text == '\0' ? "" : " " + std::string(text));
    }
    // A character without a token is its bytes, each a token, and comes out whole.
    const auto ids = tokenizer.encode("\U0001F9FF");
    ASSERT_TRUE(ids);
    ASSERT_EQ(ids->size(), 5u);
    EXPECT_EQ(tokenizer.token_bytes((*ids)[1]), "\xF0");
    auto stream = StreamDecoder::create(tokenizer);
    ASSERT_TRUE(stream);
    EXPECT_EQ(stream->push((*ids)[0]), " ");
    for (int i = 1; i < 4; ++i) EXPECT_EQ(stream->push((*ids)[static_cast<std::size_t>(i)]), "");
    EXPECT_EQ(stream->push((*ids)[4]), "\U0001F9FF");
  }
}

TEST(Families, OnlyABeginningGetsAPrefix) {
  const std::vector<Tokenizer> all = tokenizers_of({"metaspace", false, false});
  ASSERT_EQ(all.size(), 1u);
  const auto begins = all[0].encode("anchor");
  const auto continues = all[0].encode("anchor", {.continues = true});
  ASSERT_TRUE(begins && continues);
  EXPECT_EQ(all[0].token_bytes((*begins)[0])[0], ' ');
  EXPECT_EQ(all[0].token_bytes((*continues)[0])[0], 'a');
}

// One small file, changed in one place: what it becomes, or why not.
json small_json() {
  return json::parse(R"({
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel"},
    "added_tokens": [{"id": 4, "content": "<s>", "special": true, "normalized": false,
                      "single_word": false, "lstrip": false, "rstrip": false}],
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": {"a": 0, "b": 1, "ab": 2,
              "abb": 3}, "merges": ["a b", ["ab", "b"]]}
  })");
}

TEST(TokenizerJson, ReadsAndRefuses) {
  struct Change {
    const char* at;     // JSON pointer
    const char* value;  // null: take it away
    const char* says;   // the error has it; null: there is none
  };
  const Change changes[] = {
      {"/version", "\"1.0\"", nullptr},
      {"/model/type", nullptr, nullptr},
      {"/model/dropout", "0.5", "dropout"},
      {"/model/dropout", "0.0", nullptr},
      {"/model/type", "\"WordPiece\"", "WordPiece"},
      {"/model/type", "7", "model.type: expected a string"},
      {"/model", "[]", "model"},
      {"/model/vocab", "[]", "model.vocab: expected an object"},
      {"/model/vocab/a", "\"x\"", "model.vocab.a: expected an integer"},
      {"/model/vocab/a", "-1", "model.vocab.a"},
      {"/model/vocab/a", "1", "both have id 1"},
      {"/model/vocab/a", "2000000000", "id 2000000000"},
      {"/model/vocab/b", nullptr, "\"b\" is not a token"},
      {"/model/merges", nullptr, "model.merges is missing"},
      {"/model/merges/0", "\"a b c\"", "model.merges[0]"},
      {"/model/merges/0", "[\"a\"]", "model.merges[0]: expected a pair"},
      {"/model/merges/0", "[\"ab\", \"b\"]", "there twice"},
      {"/model/continuing_subword_prefix", "\"##\"", "##"},
      {"/model/end_of_word_suffix", "\"\"", nullptr},
      {"/model/unk_token", "\"nowhere\"", "nowhere"},
      {"/model/byte_fallback", "true", "byte_fallback"},
      {"/added_tokens/0/content", "\"a\"", "token 0 of the model, not 4"},
      {"/added_tokens/0/content", "\"\"", "content"},
      {"/added_tokens/0/id", "3", "both have id 3"},
      {"/added_tokens/0/special", nullptr, "special is missing"},
      {"/added_tokens", "{}", "added_tokens: expected an array"},
      {"/normalizer", R"({"type": "Lowercase"})", "normalizer: Lowercase is not supported"},
      {"/normalizer", R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Nmt"}]})",
       "normalizer.normalizers[1]: Nmt"},
      {"/normalizer", R"({"type": "Replace", "pattern": {"Regex": "(a"}, "content": ""})",
       "normalizer.pattern"},
      {"/pre_tokenizer", R"({"type": "BertPreTokenizer"})", "BertPreTokenizer"},
      {"/pre_tokenizer/use_regex", "1", "use_regex: expected true or false"},
      {"/pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"},
        {"type": "Digits", "individual_digits": true}]})",
       "behind ByteLevel"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "a\\Kb"}, "behavior":
        "Isolated", "invert": false})",
       "an unknown escape"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Sideways",
        "invert": false})",
       "Sideways"},
      {"/decoder", R"({"type": "WordPiece"})", "WordPiece"},
      {"/post_processor", R"({"type": "BertProcessing"})", "BertProcessing"},
      {"/post_processor", R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}},
        {"SpecialToken": {"id": "<s>"}}], "special_tokens": {}})",
       "a token behind the text"},
      {"/post_processor", R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id":
        "<s>"}}], "special_tokens": {"<s>": {"ids": [9]}}})",
       "id 9"},
  };
  for (const Change& change : changes) {
    SCOPED_TRACE(std::string(change.at) + " " + (change.value != nullptr ? change.value : "gone"));
    json file = small_json();
    const json::json_pointer at(change.at);
    if (change.value != nullptr) file[at] = json::parse(change.value);
    else file[at.parent_pointer()].erase(at.back());
    const auto made = Tokenizer::from_json(file.dump());
    ASSERT_EQ(made.has_value(), change.says == nullptr) << (made ? "" : made.error().reason);
    if (made) {
      const auto ids = made->encode("abba");
      ASSERT_TRUE(ids) << ids.error().reason;
      EXPECT_EQ(*ids, (Ids{3, 0}));
    } else {
      const std::string said = std::string(made.error().place) + ": " + made.error().reason;
      EXPECT_NE(said.find(change.says), std::string::npos) << said;
      EXPECT_NE(said.find("tokenizer.json"), std::string::npos) << said;
    }
  }
}

TEST(TokenizerJson, OtherFilesSayHowTextsBeginAndEnd) {
  const std::string file = small_json().dump();
  const auto made = Tokenizer::from_json(
      file, R"({"bos_token": {"content": "<s>"}, "eos_token": "abb", "add_bos_token": true})",
      R"({"eos_token_id": [2, 4]})");
  ASSERT_TRUE(made) << made.error().reason;
  EXPECT_EQ(made->bos(), 4);
  EXPECT_EQ(made->eos(), 3);
  EXPECT_TRUE(made->add_bos());
  EXPECT_EQ(Ids(made->ends().begin(), made->ends().end()), (Ids{2, 3, 4}));
  const auto wrong = [&](const char* config, const char* generation, const char* says) {
    const auto failed = Tokenizer::from_json(file, config, generation);
    ASSERT_FALSE(failed);
    const std::string said = std::string(failed.error().place) + ": " + failed.error().reason;
    EXPECT_NE(said.find(says), std::string::npos) << said;
  };
  wrong(R"({"bos_token": "<b>"})", "", "tokenizer_config.json: bos_token: \"<b>\"");
  wrong(R"({"add_bos_token": true})", "", "bos_token is missing");
  wrong("[]", "", "expected an object");
  wrong("", R"({"eos_token_id": 9})", "eos_token_id: 9");
  wrong("", R"({"eos_token_id": "x"})", "generation_config.json: eos_token_id");
  const auto nowhere = Tokenizer::from_folder("/nonexistent");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code, Code::not_found);
}

}  // namespace
