#include "kedge/core/result.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace kedge {
namespace {

// Counts what is alive, so that a value destroyed twice or never is noticed.
struct Counted {
  static inline int alive = 0;
  int value;
  explicit Counted(int v) : value(v) { ++alive; }
  Counted(Counted&& other) noexcept : value(other.value) { ++alive; }
  Counted(const Counted& other) : value(other.value) { ++alive; }
  ~Counted() { --alive; }
};

Result<Counted> make(bool good) {
  if (!good) return fail(Code::malformed, "file.gguf: tensor a", "expected %d, found %d", 3, 4);
  return Counted(7);
}

TEST(Result, HoldsAValueOrTheReason) {
  {
    auto good = make(true);
    ASSERT_TRUE(good.has_value());
    EXPECT_EQ(good->value, 7);
    auto bad = make(false);
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().code, Code::malformed);
    EXPECT_STREQ(bad.error().place, "file.gguf: tensor a");
    EXPECT_STREQ(bad.error().reason, "expected 3, found 4");
    good = std::move(bad);
    EXPECT_FALSE(good);
    good = make(true);
    ASSERT_TRUE(good);
    EXPECT_EQ((*good).value, 7);
  }
  EXPECT_EQ(Counted::alive, 0);
}

TEST(Result, TryAndCheckPassTheErrorOn) {
  const auto twice = [](bool first, bool second) -> Result<int> {
    KEDGE_TRY(const Counted a, make(first));
    KEDGE_TRY(const Counted b, make(second));
    KEDGE_CHECK(Status());
    return a.value + b.value;
  };
  EXPECT_EQ(*twice(true, true), 14);
  EXPECT_EQ(twice(true, false).error().code, Code::malformed);
  EXPECT_EQ(twice(false, true).error().code, Code::malformed);
  const auto check = []() -> Status {
    KEDGE_CHECK(Status(fail(Code::io, "disk", "gone")));
    return {};
  };
  EXPECT_EQ(check().error().code, Code::io);
  EXPECT_STREQ(check().error().reason, "gone");
  EXPECT_EQ(Counted::alive, 0);
}

TEST(Result, MovesWhatCannotBeCopied) {
  const auto make_pointer = []() -> Result<std::unique_ptr<int>> {
    return std::make_unique<int>(5);
  };
  auto result = make_pointer();
  ASSERT_TRUE(result);
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 5);
  Result<int> none = fail(Code::not_found, "key", "absent");
  EXPECT_EQ(std::move(none).value_or(3), 3);
}

TEST(Result, LongTextIsCutNotLost) {
  const std::string longer(1000, 'x');
  const Unexpected failure = fail(Code::io, longer.c_str(), "%s", longer.c_str());
  EXPECT_EQ(std::string(failure.error.place), std::string(sizeof failure.error.place - 1, 'x'));
  EXPECT_EQ(std::string(failure.error.reason), std::string(sizeof failure.error.reason - 1, 'x'));
}

TEST(Result, EveryCodeHasAName) {
  for (int code = 0; code <= static_cast<int>(Code::numeric); ++code)
    EXPECT_STRNE(to_string(static_cast<Code>(code)), "");
  EXPECT_STREQ(to_string(Code::numeric), "numeric");
}

}  // namespace
}  // namespace kedge
