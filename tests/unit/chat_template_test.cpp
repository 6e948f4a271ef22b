#include "kedge/text/chat_template.hpp"

#include <gtest/gtest.h>

#include "golden/tokenizer_golden.hpp"

namespace {

using namespace kedge;
using namespace kedge::text;
using namespace kedge_test;

TEST(ChatTemplate, RecognisesTemplatesByTheirText) {
  for (const auto& [name, source] : small_golden()["templates"].items()) {
    const std::string text = source.get<std::string>();
    const auto found = ChatTemplate::recognise(text);
    ASSERT_TRUE(found) << found.error().reason;
    EXPECT_EQ(found->name(), name);
    std::string escaped;  // as a conversion that leaves \n in literals has it
    for (const char c : text) escaped += c == '\n' ? std::string("\\n") : std::string(1, c);
    EXPECT_TRUE(ChatTemplate::recognise(escaped + "\n"));
    for (std::size_t i = 0; i < text.size(); i += 7) {
      std::string changed = text;
      changed[i] = changed[i] == 'x' ? 'y' : 'x';
      EXPECT_FALSE(ChatTemplate::recognise(changed)) << i;
    }
  }
  const auto unknown = ChatTemplate::recognise("{{ bos_token }}{% for m in messages %}");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::unsupported);
  EXPECT_NE(std::string(unknown.error().reason).find("chatml, smollm2"), std::string::npos);
  EXPECT_FALSE(ChatTemplate::recognise(""));
  const auto name = ChatTemplate::named("vicuna");
  ASSERT_FALSE(name);
  EXPECT_NE(std::string(name.error().reason).find("vicuna"), std::string::npos);
}

TEST(ChatTemplate, RendersAndEncodesAsTransformersDoes) {
  expect_chats(small_tokenizer(), small_golden());
}

std::vector<Message> messages_of(const json& one) {
  std::vector<Message> messages;
  for (const json& message : one["messages"])
    messages.push_back({message[0].get<std::string>(), message[1].get<std::string>()});
  return messages;
}

TEST(ChatTemplate, EveryFamilyRendersAsItsOwnTemplateDoes) {
  // Its vocabulary has the markers of all families.
  const auto tokenizer = Tokenizer::from_folder(KEDGE_GOLDEN_DIR "/tokenizers/llama-bpe");
  ASSERT_TRUE(tokenizer) << tokenizer.error().reason;
  const json golden = read_golden("chat_templates.json");
  ASSERT_GT(golden.size(), 300u);
  std::size_t refused = 0;
  for (const json& one : golden) {
    SCOPED_TRACE(one.dump());
    const std::vector<Message> messages = messages_of(one);
    const auto format = ChatTemplate::named(one["template"].get<std::string>());
    ASSERT_TRUE(format) << format.error().reason;
    const auto segments = format->render(messages, one["prompt"].get<bool>());
    ASSERT_EQ(segments.has_value(), !one["text"].is_null());
    if (!segments) {
      EXPECT_EQ(segments.error().code, Code::invalid_argument);
      ++refused;
      continue;
    }
    EXPECT_EQ(*join(*segments), one["text"].get<std::string>());
    if (format->name() == "mistral") continue;  // the vocabulary lacks <s>
    // Special tokens are the template's markers, one each, whatever the messages say.
    const auto ids = encode_chat(*tokenizer, *format, messages, one["prompt"].get<bool>());
    ASSERT_TRUE(ids) << ids.error().reason;
    std::size_t special = 0, markers = 0;
    for (const std::int32_t id : *ids) special += tokenizer->is_special(id);
    for (const Segment& segment : *segments) markers += segment.is_markup;
    EXPECT_EQ(special, markers);
    EXPECT_EQ(*tokenizer->decode(*ids), one["text"].get<std::string>());
  }
  EXPECT_GT(refused, 20u);
}

TEST(ChatTemplate, WithoutMessagesOnlyThePromptRemains) {
  for (const char* name : {"chatml", "smollm2"}) {
    const auto format = ChatTemplate::named(name);
    ASSERT_TRUE(format);
    const auto prompt = format->render({}, true);
    ASSERT_TRUE(prompt);
    EXPECT_EQ(*join(*prompt), "<|im_start|>assistant\n");
    const auto nothing = format->render({}, false);
    ASSERT_TRUE(nothing);
    EXPECT_TRUE(nothing->empty());
  }
}

TEST(ChatTemplate, OnlyMarkersAreMarkup) {
  const auto format = ChatTemplate::named("chatml");
  ASSERT_TRUE(format);
  const Message messages[] = {{"user", "a<|im_end|>b"}, {"assistant", ""}};
  const auto segments = format->render(messages, true);
  ASSERT_TRUE(segments);
  bool text_before = false;
  for (const Segment& segment : *segments) {
    if (segment.is_markup) {
      EXPECT_TRUE(segment.text == "<|im_start|>" || segment.text == "<|im_end|>") << segment.text;
    }
    EXPECT_FALSE(text_before && !segment.is_markup) << "two texts in a row";
    text_before = !segment.is_markup;
  }
  EXPECT_EQ((*segments)[1].text, "user\na<|im_end|>b");
}

TEST(ChatTemplate, NeedsItsMarkersInTheVocabulary) {
  TokenizerData data = small_data();
  data.tokens[2] = "<|end|>";
  const auto tokenizer = Tokenizer::create(data);
  ASSERT_TRUE(tokenizer);
  const auto format = ChatTemplate::named("chatml");
  ASSERT_TRUE(format);
  const Message message[] = {{"user", "hi"}};
  const auto ids = encode_chat(*tokenizer, *format, message, true);
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, Code::unsupported);
  EXPECT_NE(std::string(ids.error().reason).find("<|im_end|>"), std::string::npos);
}

}  // namespace
