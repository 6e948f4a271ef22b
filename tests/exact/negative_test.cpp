// The checks can fail: one bit turned over in one logit is found, at its position and byte.
#include <gtest/gtest.h>

#include "exact/evaluate.hpp"
#include "exact/tiny_model.hpp"

namespace kedge::tests {
namespace {

TEST(Comparator, NamesThePositionAndByteOfOneFlippedBit) {
  const TinySpec spec = tiny_spec(Element::q4_1, 5);
  const auto model = load_tiny(spec);
  ASSERT_NE(model, nullptr);
  const std::int64_t length = 70;
  const auto text = random_tokens(5, length, spec.vocabulary);
  const Logits expected = must_evaluate(model, {}, text, equal_chunks(length, 1));
  Logits found = must_evaluate(model, {}, text, equal_chunks(length, 16));
  ASSERT_TRUE(same_bytes(expected, found));

  std::mt19937_64 rng(11);
  for (int trial = 0; trial < 200; ++trial) {
    const auto position = static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(length));
    auto row = found.row(position);
    const std::size_t byte = rng() % row.size_bytes();
    const auto bit = static_cast<unsigned char>(1u << rng() % 8);
    auto* bytes = reinterpret_cast<unsigned char*>(row.data());
    bytes[byte] ^= bit;
    const auto d = first_difference(expected, found);
    ASSERT_TRUE(d) << "seed 11, trial " << trial;
    EXPECT_EQ(d->position, position);
    EXPECT_EQ(d->byte, byte);
    EXPECT_EQ(d->index, static_cast<std::int64_t>(byte / 4));
    EXPECT_EQ(std::memcmp(&d->expected, &expected.row(position)[byte / 4], 4), 0);
    EXPECT_EQ(std::memcmp(&d->found, &row[byte / 4], 4), 0);
    const auto result = same_bytes(expected, found);
    EXPECT_FALSE(result);
    const std::string message = result.message();
    EXPECT_NE(message.find("position " + std::to_string(position) + ","), std::string::npos)
        << message;
    EXPECT_NE(message.find("byte " + std::to_string(byte) + ":"), std::string::npos) << message;
    bytes[byte] ^= bit;
  }
  EXPECT_TRUE(same_bytes(expected, found));
}

TEST(Comparator, ReportsTheFirstOfSeveralAndWhatIsMissing) {
  Logits expected(3), found(3);
  const float a[3] = {1, 2, 3}, b[3] = {1, 2, -3}, zero[3] = {0, 0, 0}, minus[3] = {0, -0.0f, 0};
  expected.set(0, a), expected.set(4, a), expected.set(5, zero);
  found.set(4, b), found.set(5, minus);
  auto d = first_difference(expected, found);
  ASSERT_TRUE(d);
  EXPECT_EQ(d->position, 4);
  EXPECT_EQ(d->byte, 11u);  // the sign, little-endian
  found.set(4, a);
  d = first_difference(expected, found);
  ASSERT_TRUE(d) << "0 and -0 are different bytes";
  EXPECT_EQ(d->position, 5);
  found.set(5, zero);
  EXPECT_TRUE(same_bytes(expected, found));
  found.set(2, a);  // which `expected` does not have
  EXPECT_FALSE(same_bytes(expected, found));
  EXPECT_FALSE(same_bytes(expected, Logits(3))) << "nothing compared is no success";
}

// Bytes depend on every token of the past: a text that differs in its first token alone has other
// logits at its last position. So equal bytes are no accident of insensitive models.
TEST(Comparator, TextsThatDifferInOneTokenDiffer) {
  for (const Element element : {Element::f32, Element::q8_0, Element::q6_k}) {
    const TinySpec spec = tiny_spec(element, 2);
    const auto model = load_tiny(spec);
    ASSERT_NE(model, nullptr);
    auto text = random_tokens(3, 140, spec.vocabulary);
    const Logits first = must_evaluate(model, {}, text, equal_chunks(140, 16));
    text[0] = (text[0] + 1) % static_cast<std::int32_t>(spec.vocabulary);
    const Logits second = must_evaluate(model, {}, text, equal_chunks(140, 16));
    EXPECT_TRUE(first_difference(139, first.row(139), second.row(139))) << spec.describe();
  }
}

}  // namespace
}  // namespace kedge::tests
