// The comparator of every exactness test: logits by position, compared byte by byte.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

namespace kedge::tests {

// The logits of one text; positions that nobody asked for have none.
class Logits {
 public:
  explicit Logits(std::int64_t vocabulary = 0) : vocabulary_(vocabulary) {}

  void set(std::int64_t position, std::span<const float> row) {
    const auto p = static_cast<std::size_t>(position);
    if (p >= rows_.size()) rows_.resize(p + 1);
    rows_[p].assign(row.begin(), row.end());
    EXPECT_EQ(row.size(), static_cast<std::size_t>(vocabulary_)) << "position " << position;
  }
  std::span<const float> row(std::int64_t position) const {
    const auto p = static_cast<std::size_t>(position);
    return p < rows_.size() ? std::span<const float>(rows_[p]) : std::span<const float>();
  }
  std::span<float> row(std::int64_t position) { return rows_[static_cast<std::size_t>(position)]; }
  std::int64_t positions() const { return static_cast<std::int64_t>(rows_.size()); }
  std::int64_t vocabulary() const { return vocabulary_; }
  std::int64_t filled() const {
    std::int64_t n = 0;
    for (const auto& r : rows_) n += r.empty() ? 0 : 1;
    return n;
  }

 private:
  std::int64_t vocabulary_;
  std::vector<std::vector<float>> rows_;
};

struct Difference {
  std::int64_t position = 0, index = 0;  // of the token in the text, of the entry in its logits
  std::size_t byte = 0;                  // from the first byte of that position's logits
  float expected = 0, found = 0;
  bool missing = false;  // the expected logits do not have this position at all
};

inline std::optional<Difference> first_difference(std::int64_t position,
                                                  std::span<const float> expected,
                                                  std::span<const float> found) {
  if (expected.size() != found.size()) return Difference{position, 0, 0, 0, 0, true};
  if (std::memcmp(expected.data(), found.data(), found.size_bytes()) == 0) return {};
  const auto* a = reinterpret_cast<const unsigned char*>(expected.data());
  const auto* b = reinterpret_cast<const unsigned char*>(found.data());
  std::size_t byte = 0;
  while (a[byte] == b[byte]) ++byte;
  const std::size_t index = byte / sizeof(float);
  return Difference{position, static_cast<std::int64_t>(index), byte, expected[index], found[index],
                    false};
}

// Of the positions that `found` has, which must all be in `expected`.
inline std::optional<Difference> first_difference(const Logits& expected, const Logits& found) {
  for (std::int64_t p = 0; p < found.positions(); ++p)
    if (!found.row(p).empty())
      if (auto d = first_difference(p, expected.row(p), found.row(p))) return d;
  return {};
}

inline ::testing::AssertionResult report(const std::optional<Difference>& d) {
  if (!d) return ::testing::AssertionSuccess();
  if (d->missing)
    return ::testing::AssertionFailure()
           << "position " << d->position << ": nothing of that size to compare with";
  std::uint32_t a, b;
  std::memcpy(&a, &d->expected, 4);
  std::memcpy(&b, &d->found, 4);
  return ::testing::AssertionFailure()
         << "position " << d->position << ", logit " << d->index << ", byte " << d->byte
         << ": expected " << d->expected << ", found " << d->found << " (" << std::hex << a << ", "
         << b << ")";
}

// EXPECT_TRUE(same_bytes(expected, found)) << what;
inline ::testing::AssertionResult same_bytes(const Logits& expected, const Logits& found) {
  if (found.filled() == 0) return ::testing::AssertionFailure() << "no logits to compare";
  return report(first_difference(expected, found));
}

}  // namespace kedge::tests
