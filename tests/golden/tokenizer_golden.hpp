// Reads the files that tests/golden/tokenizer.py writes.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kedge/text/chat_template.hpp"
#include "kedge/text/tokenizer.hpp"

namespace kedge_test {

using nlohmann::json;
using Ids = std::vector<std::int32_t>;

inline json read_golden(const std::string& name) {
  std::ifstream file(std::string(KEDGE_GOLDEN_DIR) + "/" + name);
  if (!file) ADD_FAILURE() << "no golden file " << name;
  return json::parse(file, nullptr, false);
}
inline const json& small_golden() {
  static const json golden = read_golden("tokenizer_small.json");
  return golden;
}

inline kedge::text::TokenizerData small_data(const std::string& pre = "smollm") {
  const json& golden = small_golden();
  kedge::text::TokenizerData data;
  data.pre = pre;
  data.tokens = golden["tokens"].get<std::vector<std::string>>();
  for (const int type : golden["types"].get<std::vector<int>>()) {
    data.types.push_back(static_cast<kedge::text::TokenType>(type));
  }
  data.merges = golden["merges"].get<std::vector<std::string>>();
  data.bos = golden["bos"].get<std::int32_t>();
  data.eos = golden["eos"].get<std::int32_t>();
  data.unknown = golden["unknown"].get<std::int32_t>();
  data.padding = golden["padding"].get<std::int32_t>();
  return data;
}
inline kedge::text::Tokenizer small_tokenizer(const std::string& pre = "smollm") {
  auto tokenizer = kedge::text::Tokenizer::create(small_data(pre));
  if (!tokenizer) ADD_FAILURE() << tokenizer.error().place << ": " << tokenizer.error().reason;
  return *std::move(tokenizer);
}

// A text is a string or [unit, count].
inline std::string golden_text(const json& text) {
  if (text.is_string()) return text.get<std::string>();
  std::string repeated;
  for (int i = 0; i < text[1].get<int>(); ++i) repeated += text[0].get<std::string>();
  return repeated;
}

// Every case's ids, with and without special tokens, and that the text comes back.
inline void expect_cases(const kedge::text::Tokenizer& tokenizer, const json& golden,
                         const std::string& pre) {
  ASSERT_GE(golden["cases"].size(), 120u);
  for (const json& one : golden["cases"]) {
    const std::string text = golden_text(one["text"]);
    SCOPED_TRACE(one["text"].dump());
    const bool missing = one.contains("missing");
    const json& plain = one.contains(pre) ? one[pre] : one["smollm"];
    const json& special = one.contains(pre + " special") ? one[pre + " special"] : plain;

    const auto strict = tokenizer.encode(text);
    EXPECT_EQ(strict.has_value(), !missing);
    const auto ids = tokenizer.encode(text, {.drop_missing_bytes = missing});
    ASSERT_TRUE(ids) << ids.error().reason;
    EXPECT_EQ(*ids, plain.get<Ids>());
    for (const std::int32_t id : *ids) EXPECT_FALSE(tokenizer.is_special(id)) << id;
    const auto marked =
        tokenizer.encode(text, {.parse_special = true, .drop_missing_bytes = missing});
    ASSERT_TRUE(marked) << marked.error().reason;
    EXPECT_EQ(*marked, special.get<Ids>());
    if (missing) continue;
    for (const Ids& list : {*ids, *marked}) {
      const auto back = tokenizer.decode(list);
      ASSERT_TRUE(back);
      EXPECT_EQ(*back, text);
    }
  }
}

// Every chat's text, segments and ids.
inline void expect_chats(const kedge::text::Tokenizer& tokenizer, const json& golden) {
  using namespace kedge::text;
  ASSERT_GE(golden["chats"].size(), 40u);
  for (const json& one : golden["chats"]) {
    SCOPED_TRACE(one.dump());
    std::vector<Message> messages;
    for (const json& message : one["messages"]) {
      messages.push_back({message[0].get<std::string>(), message[1].get<std::string>()});
    }
    const bool prompt = one["prompt"].get<bool>();
    const auto format = ChatTemplate::named(one["template"].get<std::string>());
    ASSERT_TRUE(format) << format.error().reason;
    const auto segments = format->render(messages, prompt);
    ASSERT_TRUE(segments);
    const auto text = join(*segments);
    ASSERT_TRUE(text);
    EXPECT_EQ(*text, one["text"].get<std::string>());

    const auto ids = encode_chat(tokenizer, *format, messages, prompt);
    ASSERT_TRUE(ids) << ids.error().reason;
    if (one.contains("ids")) {
      EXPECT_EQ(*ids, one["ids"].get<Ids>());
    }
    const auto back = tokenizer.decode(*ids);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, *text);
    // The only special tokens are the template's own, whatever roles and contents say.
    const bool extra = format->name() == "smollm2" && messages[0].role != "system";
    const std::size_t turns = messages.size() + extra;
    std::size_t special = 0;
    for (const std::int32_t id : *ids) special += tokenizer.is_special(id);
    EXPECT_EQ(special, 2 * turns + prompt);
  }
}

}  // namespace kedge_test
