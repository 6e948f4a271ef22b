#include "kedge/core/hash.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string_view>
#include <vector>

namespace {

using namespace kedge;

std::uint64_t of(std::string_view text) {
  return Hash::of(std::as_bytes(std::span(text.data(), text.size())));
}

// Known answers of XXH64 with seed 0.
TEST(Hash, KnownAnswers) {
  EXPECT_EQ(of(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(of("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(of("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(of("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
}

TEST(Hash, PartsMakeNoDifferenceAndBitsDo) {
  std::mt19937_64 rng(1);
  for (std::size_t size = 0; size < 200; ++size) {
    std::vector<std::byte> bytes(size);
    for (auto& b : bytes) b = static_cast<std::byte>(rng());
    const std::uint64_t expected = Hash::of(bytes);
    Hash hash;
    for (std::size_t at = 0; at < size;) {
      const std::size_t part = std::min(size - at, 1 + rng() % 40);
      hash.add(std::span(bytes).subspan(at, part));
      at += part;
    }
    EXPECT_EQ(hash.value(), expected) << size;
    for (std::size_t i = 0; i < size; ++i) {
      bytes[i] ^= std::byte{1};
      EXPECT_NE(Hash::of(bytes), expected) << size << ", " << i;
      bytes[i] ^= std::byte{1};
    }
  }
}

}  // namespace
