#include "kedge/text/tokenizer.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <new>
#include <random>
#include <thread>

#include "golden/tokenizer_golden.hpp"
#include "kedge/text/stream_decoder.hpp"
#include "kedge/text/utf8.hpp"
#include "unit/allocations.hpp"

namespace {

using namespace kedge;
using namespace kedge::text;
using namespace kedge_test;

std::string random_bytes(std::mt19937& random, std::size_t length) {
  // Bytes alone are almost never UTF-8: mix in pieces that are, whole and cut.
  static const std::string pieces[] = {
      "the ",       " anchor",  "\n\n",         "  ",    "\xF0\x9F\x98\x80",
      "\xC3",       "\xE2\x82", "\xED\xA0\x80", "1999",  "\xE4\xBD\xA0",
      "<|im_end|>", "'s",       "\xC2\xA0",     "<tool>"};
  std::string bytes;
  while (bytes.size() < length) {
    if (random() % 2) bytes.push_back(static_cast<char>(random()));
    else bytes += pieces[random() % std::size(pieces)];
  }
  return bytes;
}

TEST(Tokenizer, MatchesTheTokenizersPackage) {
  for (const char* pre : {"smollm", "llama-bpe"}) {
    SCOPED_TRACE(pre);
    expect_cases(small_tokenizer(pre), small_golden(), pre);
  }
}

TEST(Tokenizer, EveryByteSequenceComesBack) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const char* pre : {"smollm", "llama-bpe"}) {
    const Tokenizer tokenizer = small_tokenizer(pre);
    for (int round = 0; round < 2000; ++round) {
      const std::string text = random_bytes(random, random() % 64);
      for (const bool parse_special : {false, true}) {
        const auto ids = tokenizer.encode(text, {.parse_special = parse_special});
        ASSERT_TRUE(ids) << ids.error().reason;
        const auto back = tokenizer.decode(*ids);
        ASSERT_TRUE(back);
        ASSERT_EQ(*back, text);
        if (parse_special) continue;
        for (const std::int32_t id : *ids) ASSERT_FALSE(tokenizer.is_special(id));
      }
    }
  }
}

// Byte-pair encoding as it is defined: look at all pairs, join the first best one, start again.
Ids merge_naively(const TokenizerData& data, const std::string& word) {
  std::map<std::pair<std::string, std::string>, std::size_t> ranks;
  for (std::size_t i = 0; i < data.merges.size(); ++i) {
    const std::size_t space = data.merges[i].find(' ');
    ranks[{data.merges[i].substr(0, space), data.merges[i].substr(space + 1)}] = i;
  }
  std::vector<std::string> parts;
  for (const char letter : word) parts.push_back(std::string(1, letter));
  for (;;) {
    std::size_t best = data.merges.size(), where = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find({parts[i], parts[i + 1]});
      if (found != ranks.end() && found->second < best) best = found->second, where = i;
    }
    if (best == data.merges.size()) break;
    parts[where] += parts[where + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(where) + 1);
  }
  Ids ids;
  for (const std::string& part : parts) {
    const auto at = std::find(data.tokens.begin(), data.tokens.end(), part);
    ids.push_back(static_cast<std::int32_t>(at - data.tokens.begin()));
  }
  return ids;
}

TEST(Tokenizer, MergesAsTheDefinitionSays) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const TokenizerData data = small_data();
  const Tokenizer tokenizer = small_tokenizer();
  // Letters by how often merges have them, so that words have many candidates.
  std::string letters;
  for (const std::string& merge : data.merges) {
    for (const char c : merge) {
      if (c >= 'a' && c <= 'z') letters.push_back(c);
    }
  }
  for (int round = 0; round < 500; ++round) {
    std::string word;
    for (std::size_t n = 1 + random() % 40; n > 0; --n) word += letters[random() % letters.size()];
    const auto ids = tokenizer.encode(word);
    ASSERT_TRUE(ids);
    ASSERT_EQ(*ids, merge_naively(data, word)) << word;
  }
}

// Quadratic work on these would run into the test's time limit.
TEST(Tokenizer, LongInputsTakeNoQuadraticTime) {
  constexpr std::size_t size = 1 << 20;
  for (const char* pre : {"smollm", "llama-bpe"}) {
    const Tokenizer tokenizer = small_tokenizer(pre);
    for (const char* unit : {"a", "the", " ", "\n", "\t ", "1", "!", "'", "<", "\xF0\x9F\x98\x80",
                             "\xFF", "\xE2\x82", " a", "the anchor held, 12 fathoms down.\n"}) {
      std::string text;
      while (text.size() < size) text += unit;
      const auto ids = tokenizer.encode(text, {.parse_special = true});
      ASSERT_TRUE(ids) << unit << ids.error().reason;
      const auto back = tokenizer.decode(*ids);
      ASSERT_TRUE(back);
      ASSERT_TRUE(*back == text) << unit;
    }
  }
}

TEST(Tokenizer, ThreadsShareOne) {
  const Tokenizer tokenizer = small_tokenizer();
  const std::string text = small_golden()["cases"][10]["text"].get<std::string>();
  const auto expected = tokenizer.encode(text);
  ASSERT_TRUE(expected);
  std::vector<std::thread> threads;
  std::vector<int> equal(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const auto ids = tokenizer.encode(text);
        equal[static_cast<std::size_t>(t)] += ids && *ids == *expected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, std::vector<int>(4, 200));
}

TEST(Tokenizer, KnowsItsTokens) {
  TokenizerData data = small_data();
  data.ends = {0, 3};
  auto made = Tokenizer::create(data);
  ASSERT_TRUE(made) << made.error().reason;
  const Tokenizer tokenizer = *std::move(made);
  EXPECT_EQ(tokenizer.size(), static_cast<std::int32_t>(data.tokens.size()));
  EXPECT_EQ(tokenizer.token_bytes(1), "<|im_start|>");
  EXPECT_EQ(tokenizer.token_bytes(tokenizer.size() - 1), " anchorless");
  EXPECT_EQ(tokenizer.token_bytes(-1), "");
  EXPECT_EQ(tokenizer.token_bytes(tokenizer.size()), "");
  EXPECT_TRUE(tokenizer.is_special(1));
  EXPECT_FALSE(tokenizer.is_special(4));  // user-defined
  EXPECT_FALSE(tokenizer.is_special(-1));
  EXPECT_FALSE(tokenizer.is_special(tokenizer.size()));
  EXPECT_EQ(tokenizer.find_special("<|im_end|>"), std::optional<std::int32_t>(2));
  EXPECT_EQ(tokenizer.find_special("<|im_end"), std::nullopt);
  EXPECT_TRUE(tokenizer.is_end(0));
  EXPECT_FALSE(tokenizer.is_end(1));
  EXPECT_TRUE(tokenizer.is_end(2));  // eos, though not in the list
  EXPECT_TRUE(tokenizer.is_end(3));
  EXPECT_FALSE(tokenizer.is_end(-1));
  EXPECT_FALSE(tokenizer.add_bos());
  EXPECT_TRUE(small_tokenizer("llama-bpe").add_bos());
  std::size_t longest = 0;
  for (std::int32_t id = 0; id < tokenizer.size(); ++id) {
    longest = std::max(longest, tokenizer.token_bytes(id).size());
  }
  EXPECT_EQ(tokenizer.longest_token(), longest);
  const Ids wrong = {1, tokenizer.size()};
  const auto text = tokenizer.decode(wrong);
  ASSERT_FALSE(text);
  EXPECT_NE(std::string(text.error().reason).find(std::to_string(tokenizer.size())),
            std::string::npos);
}

TEST(Tokenizer, NamesTheByteThatHasNoToken) {
  TokenizerData data = small_data();
  const auto at = std::find(data.tokens.begin(), data.tokens.end(), "\u0104");  // byte 0x04
  ASSERT_NE(at, data.tokens.end());
  *at = "[gone]";
  const auto made = Tokenizer::create(data);
  ASSERT_TRUE(made) << made.error().reason;
  const Tokenizer tokenizer = *made;
  Ids ids = {7};
  const Status status = tokenizer.append("the\x04 anchor", {}, ids);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::invalid_argument);
  EXPECT_STREQ(status.error().reason, "the vocabulary has no token for byte 0x04 at offset 3");
  EXPECT_EQ(ids, Ids{7});
  const auto dropped = tokenizer.encode("the\x04 anchor", {.drop_missing_bytes = true});
  ASSERT_TRUE(dropped);
  const auto text = tokenizer.decode(*dropped);
  ASSERT_TRUE(text);
  EXPECT_EQ(*text, "the anchor");
}

struct Broken {
  const char* what;
  void (*change)(TokenizerData&);
  Code code;
  const char* names;  // the error's reason has it
};

TEST(Tokenizer, RefusesBrokenData) {
  const Broken all[] = {
      {"model", [](TokenizerData& d) { d.model = "rwkv"; }, Code::unsupported, "\"rwkv\""},
      {"scores", [](TokenizerData& d) { d.model = "llama"; }, Code::malformed, "0 scores for"},
      {"a score",
       [](TokenizerData& d) {
         d.model = "llama";
         d.scores.assign(d.tokens.size(), 1);
         d.scores[7] = std::nan("");
       },
       Code::malformed, "not finite"},
      {"a byte",
       [](TokenizerData& d) {
         d.model = "llama";
         d.scores.assign(d.tokens.size(), 1);
         d.types[9] = TokenType::byte;
       },
       Code::malformed, "token 9"},
      {"known models", [](TokenizerData& d) { d.model = ""; }, Code::unsupported, "gpt2"},
      {"pre", [](TokenizerData& d) { d.pre = "gpt-9"; }, Code::unsupported, "\"gpt-9\""},
      {"known pre", [](TokenizerData& d) { d.pre = ""; }, Code::unsupported, "smollm, llama-bpe"},
      {"no tokens",
       [](TokenizerData& d) {
         d = {};
         d.pre = "smollm";
       },
       Code::malformed, "0 tokens"},
      {"types", [](TokenizerData& d) { d.types.pop_back(); }, Code::malformed, "types for"},
      {"type", [](TokenizerData& d) { d.types[9] = static_cast<TokenType>(6); }, Code::unsupported,
       "token 9"},
      {"empty", [](TokenizerData& d) { d.tokens[9] = ""; }, Code::malformed, "token 9 is empty"},
      {"twice", [](TokenizerData& d) { d.tokens.back() = "<tool>"; }, Code::malformed,
       "tokens 4 and"},
      {"merge of nothing", [](TokenizerData& d) { d.merges[3] = "he qq"; }, Code::malformed,
       "merge 3 \"he qq\" names \"qq\""},
      {"merge into nothing", [](TokenizerData& d) { d.merges[3] = "z z"; }, Code::malformed,
       "names \"zz\""},
      {"merge without space", [](TokenizerData& d) { d.merges[3] = "he"; }, Code::malformed,
       "merge 3"},
      {"merge with spaces", [](TokenizerData& d) { d.merges[3] = "h e "; }, Code::malformed,
       "merge 3"},
      {"merge twice", [](TokenizerData& d) { d.merges[3] = d.merges[2]; }, Code::malformed,
       "there twice"},
      {"merge into special",
       [](TokenizerData& d) {
         d.tokens[3] = "zz";
         d.merges.push_back("z z");
       },
       Code::malformed, "special token 3"},
      {"bos", [](TokenizerData& d) { d.bos = -1; }, Code::malformed, "id -1"},
      {"eos", [](TokenizerData& d) { d.eos = 100000; }, Code::malformed, "id 100000"},
      {"unknown", [](TokenizerData& d) { d.unknown = 100000; }, Code::malformed, "id 100000"},
      {"padding", [](TokenizerData& d) { d.padding = 100000; }, Code::malformed, "id 100000"},
      {"end",
       [](TokenizerData& d) {
         d.ends = {1, 100000};
       },
       Code::malformed, "id 100000"},
      {"add_bos", [](TokenizerData& d) { d.add_bos = true, d.bos.reset(); }, Code::malformed,
       "bos_token_id"},
  };
  for (const Broken& one : all) {
    SCOPED_TRACE(one.what);
    TokenizerData data = small_data();
    one.change(data);
    const auto made = Tokenizer::create(std::move(data));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, one.code);
    EXPECT_NE(std::string(made.error().reason).find(one.names), std::string::npos)
        << made.error().reason;
  }
}

// What a body's own copies may use.
thread_local std::size_t copy_budget = static_cast<std::size_t>(-1);

// Lets body() make 0, 1, 2 ... allocations until it succeeds; returns how many failures there were.
template <class Body>
std::size_t starve(Body&& body) {
  for (std::size_t allowed = 0;; ++allowed) {
    allocations_left = allowed;
    const auto result = body();
    allocations_left = static_cast<std::size_t>(-1);
    if (result) return allowed;
    EXPECT_EQ(result.error().code, Code::out_of_memory) << result.error().reason;
  }
}

TEST(Tokenizer, OutOfMemoryIsAnError) {
  for (const char* pre : {"smollm", "llama-bpe"}) {
    const TokenizerData data = small_data(pre);
    const std::size_t made = starve([&] {
      TokenizerData copy;
      std::swap(allocations_left, copy_budget);
      copy = data;
      std::swap(allocations_left, copy_budget);
      return Tokenizer::create(std::move(copy));
    });
    EXPECT_GT(made, 100u);
    const Tokenizer tokenizer = small_tokenizer(pre);
    const std::string text = "the anchor held <|im_end|> 12 fathoms";
    EXPECT_GT(starve([&] { return tokenizer.encode(text, {.parse_special = true}); }), 3u);
    const Ids ids(100, 20);
    EXPECT_GT(starve([&] { return tokenizer.decode(ids); }), 0u);
    EXPECT_GT(starve([&] { return StreamDecoder::create(tokenizer); }), 0u);
  }
}

TEST(StreamDecoder, GivesWholeCharactersAndLosesNothing) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const Tokenizer tokenizer = small_tokenizer();
  auto made = StreamDecoder::create(tokenizer);
  ASSERT_TRUE(made);
  StreamDecoder stream = *std::move(made);
  std::size_t held_back = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::string text = random_bytes(random, random() % 64);
    const auto ids = tokenizer.encode(text);
    ASSERT_TRUE(ids);
    std::string so_far, fed;
    for (const std::int32_t id : *ids) {
      fed += tokenizer.token_bytes(id);
      so_far += stream.push(id);
      ASSERT_EQ(so_far, fed.substr(0, utf8_complete_prefix(fed)));
      ASSERT_EQ(stream.held(), fed.size() - so_far.size());
      held_back += stream.held();
    }
    so_far += stream.finish();
    ASSERT_EQ(so_far, text);
    ASSERT_EQ(stream.held(), 0u);
  }
  EXPECT_GT(held_back, 0u);
}

TEST(StreamDecoder, HoldsACharacterUntilItIsWhole) {
  const Tokenizer tokenizer = small_tokenizer();
  auto made = StreamDecoder::create(tokenizer);
  ASSERT_TRUE(made);
  StreamDecoder stream = *std::move(made);
  const auto byte = [&](const char* bytes) { return (*tokenizer.encode(bytes))[0]; };
  EXPECT_EQ(stream.push(byte("\xF0")), "");
  EXPECT_EQ(stream.push(byte("\x9F")), "");
  EXPECT_EQ(stream.push(byte("\x98")), "");
  EXPECT_EQ(stream.held(), 3u);
  EXPECT_EQ(stream.push(byte("\x83")), "\U0001F603");
  // Bytes that can become nothing are passed on at once, with what was held for them.
  EXPECT_EQ(stream.push(byte("\xE2")), "");
  EXPECT_EQ(stream.push(byte("x")), "\xE2x");
  EXPECT_EQ(stream.push(byte("\xFF")), "\xFF");
  EXPECT_EQ(stream.push(byte("\xE2")), "");
  EXPECT_EQ(stream.push(-5), "");
  EXPECT_EQ(stream.push(2), "\xE2<|im_end|>");
  EXPECT_EQ(stream.push(byte("\xC3")), "");
  EXPECT_EQ(stream.finish(), "\xC3");
  EXPECT_EQ(stream.finish(), "");

  auto quiet = StreamDecoder::create(tokenizer, true);
  ASSERT_TRUE(quiet);
  EXPECT_EQ(quiet->push(2), "");
  EXPECT_EQ(quiet->push(4), "<tool>");
}

TEST(StreamDecoder, AllocatesNothing) {
  const Tokenizer tokenizer = small_tokenizer();
  auto made = StreamDecoder::create(tokenizer);
  ASSERT_TRUE(made);
  StreamDecoder stream = *std::move(made);
  std::size_t bytes = 0;
  const std::size_t before = allocations;
  for (std::int32_t id = 0; id < tokenizer.size(); ++id) {
    bytes += stream.push(id).size() + tokenizer.token_bytes(id).size();
    bytes += tokenizer.is_end(id) + tokenizer.is_special(id);
  }
  bytes += stream.finish().size();
  EXPECT_EQ(allocations, before);
  EXPECT_GT(bytes, static_cast<std::size_t>(tokenizer.size()));
  EXPECT_GT(before, 0u);
}

}  // namespace
