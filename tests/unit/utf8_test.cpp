#include "kedge/text/utf8.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace {

using namespace kedge::text;
using Kind = Utf8Step::Kind;

std::string utf8_of(char32_t c) {
  std::string s;
  if (c < 0x80) return {static_cast<char>(c)};
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  s.push_back(static_cast<char>(((0xFF00 >> (more + 1)) & 0xFF) | (c >> (6 * more))));
  for (int i = more - 1; i >= 0; --i) s.push_back(static_cast<char>(0x80 | ((c >> (6 * i)) & 63)));
  return s;
}

TEST(Utf8, ReadsEveryCodePointAndRefusesSurrogates) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    const std::string bytes = utf8_of(c);
    const Utf8Step step = utf8_step(bytes);
    if (c >= 0xD800 && c < 0xE000) {
      ASSERT_EQ(step.kind, Kind::invalid) << static_cast<unsigned>(c);
      continue;
    }
    ASSERT_EQ(step.kind, Kind::character) << static_cast<unsigned>(c);
    ASSERT_EQ(step.length, bytes.size());
    ASSERT_EQ(step.value, c);
    for (std::size_t n = 1; n < bytes.size(); ++n) {
      const Utf8Step part = utf8_step(bytes.substr(0, n));
      ASSERT_EQ(part.kind, Kind::truncated);
      ASSERT_EQ(part.length, n);
      std::string after = "x";
      after.append(bytes, 0, n);
      ASSERT_EQ(utf8_complete_prefix(after), 1u);
    }
    ASSERT_EQ(utf8_complete_prefix(bytes), bytes.size());
  }
}

TEST(Utf8, RefusesWhatIsNotUtf8) {
  for (const char* bytes : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF",
                            "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                            "\xF5\x80\x80\x80", "\xFF", "\xC3(", "\xE2\x82(", "\xF0\x9F\x98("}) {
    EXPECT_EQ(utf8_step(bytes).kind, Kind::invalid) << bytes;
    EXPECT_EQ(utf8_step(bytes).length, 1);
    EXPECT_EQ(utf8_valid_prefix(bytes), 0u);
  }
  // The first byte of the five could still be part of a character; the two together cannot.
  EXPECT_EQ(utf8_complete_prefix("\xE0"), 0u);
  EXPECT_EQ(utf8_complete_prefix("\xE0\x80"), 2u);
  EXPECT_EQ(utf8_complete_prefix("\xF0\x9F\x98"), 0u);
  EXPECT_EQ(utf8_complete_prefix("\xFF"), 1u);
  EXPECT_EQ(utf8_complete_prefix(""), 0u);
}

// A prefix is complete exactly when no bytes that follow could make its end a character.
TEST(Utf8, PrefixesOfRandomBytes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const unsigned char often[] = {'a', 0x80, 0xBF, 0xC3, 0xE0, 0xE2, 0xED, 0xF0, 0xF4, 0x9F, 0xFF};
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    for (unsigned n = random() % 8; n > 0; --n) {
      bytes.push_back(static_cast<char>(random() % 4 ? often[random() % sizeof often] : random()));
    }
    const std::size_t complete = utf8_complete_prefix(bytes);
    ASSERT_LE(complete, bytes.size());
    ASSERT_LE(bytes.size() - complete, 3u);
    if (complete < bytes.size()) {
      ASSERT_EQ(utf8_step(bytes.substr(complete)).kind, Kind::truncated);
      ASSERT_EQ(utf8_step(bytes.substr(complete)).length, bytes.size() - complete);
    }
    std::size_t at = 0;
    while (at < bytes.size() && utf8_step(bytes.substr(at)).kind == Kind::character) {
      at += utf8_step(bytes.substr(at)).length;
    }
    ASSERT_EQ(utf8_valid_prefix(bytes), at);
    if (at == bytes.size()) {
      ASSERT_EQ(complete, at);
    }
  }
}

}  // namespace
