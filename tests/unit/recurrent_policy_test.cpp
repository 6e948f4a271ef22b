// Draft length and budget in, policy out; and what each policy takes.
#include "kedge/state/recurrent_policy.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kedge {
namespace {

// Qwen3.5-0.8B, 9B and 27B: layers, key heads, value heads of 128.
constexpr RecurrentShape qwen(std::int64_t layers, std::int64_t value_heads) {
  return {.layers = layers,
          .key_heads = 16,
          .value_heads = value_heads,
          .key_dim = 128,
          .value_dim = 128,
          .channels = 2 * 16 * 128 + value_heads * 128,
          .conv_width = 4};
}
constexpr RecurrentShape small = qwen(18, 16), middle = qwen(24, 32), large = qwen(48, 48);
constexpr std::uint64_t mib = std::uint64_t{1} << 20;

TEST(RecurrentPolicy, Table) {
  using Policy = RecurrentPolicy;
  struct Line {
    RecurrentShape shape;
    std::int64_t draft;
    std::uint64_t budget;
    Policy expected;
  };
  // Records larger than planes: one head of keys of 16, values of 1.
  constexpr RecurrentShape odd{.layers = 2,
                               .key_heads = 1,
                               .value_heads = 1,
                               .key_dim = 16,
                               .value_dim = 1,
                               .channels = 33,
                               .conv_width = 4};
  const Line table[] = {
      {small, 0, 0, Policy::snapshots(1)},           // plain decoding
      {small, 1, 0, Policy::replay(2)},              // a model's own next-token layer
      {small, 3, 0, Policy::replay(4)},              //
      {small, 16, 0, Policy::replay(17)},            // prompt lookup
      {small, 63, 0, Policy::replay(64)},            //
      {small, 2, 60 * mib, Policy::replay(3)},       // 2 planes of 18 MiB
      {large, 63, 700 * mib, Policy::replay(64)},    // 64 planes are 9 GiB
      {large, 1, 320 * mib, Policy::replay(2)},      //
      {middle, 0, 102 * mib, Policy::snapshots(1)},  // 2 planes of 48 MiB
      {odd, 1, 0, Policy::replay(2)},
      {odd, 1, Policy::replay(2).bytes(odd) - 1, Policy::snapshots(2)},
  };
  for (const Line& line : table) {
    const auto chosen = choose_recurrent_policy(line.shape, line.draft, line.budget);
    ASSERT_TRUE(chosen) << chosen.error().reason;
    EXPECT_TRUE(*chosen == line.expected)
        << line.draft << " drafts, " << line.budget << " bytes: " << to_string(chosen->kind) << ' '
        << chosen->depth;
    EXPECT_TRUE(line.budget == 0 || chosen->bytes(line.shape) <= line.budget);
  }
}

// Checkpoint runs rows again, so nobody gets it who did not ask.
TEST(RecurrentPolicy, TooLittleMemoryIsAnErrorWithBothNumbers) {
  for (const std::int64_t draft : {0, 1, 8, 63})
    for (const std::uint64_t budget : {std::uint64_t{1}, mib, 36 * mib}) {
      const auto chosen = choose_recurrent_policy(small, draft, budget);
      ASSERT_FALSE(chosen);
      EXPECT_EQ(chosen.error().code, Code::out_of_memory);
      const std::string reason = chosen.error().reason;
      EXPECT_NE(reason.find(std::to_string(budget)), std::string::npos) << reason;
      EXPECT_NE(reason.find(std::to_string(RecurrentPolicy::replay(draft + 1).bytes(small))),
                std::string::npos)
          << reason;
    }
  EXPECT_FALSE(choose_recurrent_policy(small, -1, 0));
  EXPECT_FALSE(choose_recurrent_policy(small, RecurrentPolicy::max_depth, 0));
}

TEST(RecurrentPolicy, Bytes) {
  // 24 layers of 32 heads of 128 x 128 floats.
  EXPECT_EQ(middle.plane_bytes(), 24u * 32 * 128 * 128 * 4);
  EXPECT_EQ(middle.column_bytes(), 24u * 8192 * 4);
  // 32.2 KiB for a layer of 48 heads.
  EXPECT_EQ(large.record_bytes() / 48, (16u * 128 + 48 * 129) * 4);
  EXPECT_EQ(RecurrentPolicy::snapshots(4).bytes(middle),
            5 * middle.plane_bytes() + (4 + 6) * middle.column_bytes());
  EXPECT_EQ(RecurrentPolicy::checkpoint().bytes(middle),
            2 * middle.plane_bytes() + 7 * middle.column_bytes());
  EXPECT_EQ(RecurrentPolicy::replay(8).bytes(middle),
            2 * middle.plane_bytes() + 16 * middle.record_bytes() + 14 * middle.column_bytes());
}

TEST(RecurrentPolicy, ARecordIsASixtiethOfASnapshot) {
  for (const RecurrentShape& shape : {small, middle, large})
    EXPECT_LE(60 * shape.record_bytes(), shape.plane_bytes());
}

}  // namespace
}  // namespace kedge
