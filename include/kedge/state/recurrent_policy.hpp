// RecurrentPolicy: how the recurrent state of a sequence is kept so that a pass can be undone, and
// what that costs. A state of many layers is large (19 MiB for Qwen3.5-0.8B, 50 MiB for 9B), so
// what is kept of the rows of a pass is a choice:
//   snapshots   the states after its last K rows, each in a plane of its own
//   replay      one state, and for R rows behind it a record of 1/64 to 1/85 of a plane from which
//               the next pass makes the newer state while it reads the old one, in the same bytes
//   checkpoint  the state before the pass and the one after it: a pass that is kept in part is run
//               again for its accepted rows
#pragma once

#include <cstdint>

#include "kedge/core/result.hpp"
#include "kedge/state/recurrent_shape.hpp"

namespace kedge::inline KEDGE_ABI {

struct RecurrentPolicy {
  enum class Kind : std::uint8_t { snapshots, replay, checkpoint };
  static constexpr std::int64_t max_depth = 256;

  Kind kind = Kind::snapshots;
  // Rows of a pass whose states are kept at most: of T rows, 0 or more than T - depth can be
  // committed. 1 to max_depth; 1 for checkpoint.
  std::int64_t depth = 1;

  static constexpr RecurrentPolicy snapshots(std::int64_t depth) noexcept {
    return {Kind::snapshots, depth};
  }
  static constexpr RecurrentPolicy replay(std::int64_t depth) noexcept {
    return {Kind::replay, depth};
  }
  static constexpr RecurrentPolicy checkpoint() noexcept { return {Kind::checkpoint, 1}; }

  // Planes of a sequence: those that a pass may write and the one that it reads.
  constexpr std::int64_t planes() const noexcept { return kind == Kind::snapshots ? depth + 1 : 2; }
  // Slots of its ring of records. Accepted ones are read while the next are written, and a pass
  // that fails must leave them: twice the depth.
  constexpr std::int64_t record_slots() const noexcept {
    return kind == Kind::replay ? 2 * depth : 0;
  }
  // Columns of its window. A pass stores at most depth + W - 2 of them (those that the states it
  // keeps will look back at) and leaves the W - 1 before it.
  constexpr std::int64_t window_slots(const RecurrentShape& shape) const noexcept {
    return depth + 2 * (shape.conv_width - 1);
  }
  // Bytes that a sequence takes, whatever its length.
  constexpr std::uint64_t bytes(const RecurrentShape& shape) const noexcept {
    const auto times = [](std::int64_t n, std::uint64_t size) {
      return static_cast<std::uint64_t>(n) * size;
    };
    return shape.empty() ? 0
                         : times(planes(), shape.plane_bytes()) +
                               times(record_slots(), shape.record_bytes()) +
                               times(window_slots(shape), shape.column_bytes());
  }

  friend constexpr bool operator==(const RecurrentPolicy&,
                                   const RecurrentPolicy&) noexcept = default;
};

constexpr const char* to_string(RecurrentPolicy::Kind kind) noexcept {
  constexpr const char* names[] = {"snapshots", "replay", "checkpoint"};
  return names[static_cast<unsigned>(kind)];
}

// Drafts up to this length are kept as snapshots. Planes are written at the speed of memory, and
// replaying a record takes less than writing one of them, so that with one draft already replay is
// faster on a CPU, and smaller (docs/decisions.md). Without drafts both do the same.
constexpr std::int64_t longest_snapshot_draft = 0;

// The policy under which every round of up to `max_draft` drafts is undone for nothing within
// `budget` bytes per sequence (0: no limit). Never checkpoint, which has to be asked for.
// Code::out_of_memory with what each policy takes when neither of the others fits.
inline Result<RecurrentPolicy> choose_recurrent_policy(const RecurrentShape& shape,
                                                       std::int64_t max_draft,
                                                       std::uint64_t budget) noexcept {
  if (max_draft < 0 || max_draft >= RecurrentPolicy::max_depth)
    return fail(
        Code::invalid_argument, "recurrent state", "max_draft: expected 0..%lld, found %lld",
        static_cast<long long>(RecurrentPolicy::max_depth - 1), static_cast<long long>(max_draft));
  const auto snapshots = RecurrentPolicy::snapshots(max_draft + 1);
  const auto replay = RecurrentPolicy::replay(max_draft + 1);
  const auto fits = [&](const RecurrentPolicy& p) {
    return budget == 0 || p.bytes(shape) <= budget;
  };
  if (max_draft <= longest_snapshot_draft && fits(snapshots)) return snapshots;
  if (fits(replay)) return replay;
  if (fits(snapshots)) return snapshots;
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  return fail(
      Code::out_of_memory, "recurrent state",
      "drafts of %lld tokens need %llu bytes per sequence (replay) or %llu (snapshots), the "
      "budget is %llu; checkpoint takes %llu and runs accepted rows again",
      static_cast<long long>(max_draft), number(replay.bytes(shape)),
      number(snapshots.bytes(shape)), number(budget),
      number(RecurrentPolicy::checkpoint().bytes(shape)));
}

// What a host says about it; the defaults are a session's.
struct RecurrentOptions {
  enum class Choice : std::uint8_t { automatic, snapshots, replay, checkpoint };

  Choice choice = Choice::automatic;
  // Rows whose states are kept, of snapshots and replay: 0: as many as a round has. With fewer the
  // accepted rows of a round may have to run again, which is counted (Stats::rerun_rows).
  std::int64_t depth = 0;
  std::uint64_t memory = 0;    // most bytes per sequence; 0: no limit
  std::int64_t landmarks = 4;  // positions that texts can be rewound to, of all sequences together
};

constexpr const char* to_string(RecurrentOptions::Choice choice) noexcept {
  constexpr const char* names[] = {"auto", "snapshots", "replay", "checkpoint"};
  return names[static_cast<unsigned>(choice)];
}

// What that means for rounds of up to `max_draft` drafts. Code::out_of_memory with both numbers
// when it takes more than allowed.
inline Result<RecurrentPolicy> recurrent_policy(const RecurrentShape& shape, std::int64_t max_draft,
                                                const RecurrentOptions& options) noexcept {
  using Choice = RecurrentOptions::Choice;
  if (options.depth < 0 || options.depth > RecurrentPolicy::max_depth)
    return fail(Code::invalid_argument, "recurrent state", "depth: expected 0..%lld, found %lld",
                static_cast<long long>(RecurrentPolicy::max_depth),
                static_cast<long long>(options.depth));
  const std::int64_t depth = options.depth > 0 ? options.depth : max_draft + 1;
  if (options.choice == Choice::automatic)
    return choose_recurrent_policy(shape, depth - 1, options.memory);
  const RecurrentPolicy policy =
      options.choice == Choice::checkpoint ? RecurrentPolicy::checkpoint()
      : options.choice == Choice::replay   ? RecurrentPolicy::replay(depth)
                                           : RecurrentPolicy::snapshots(depth);
  if (options.memory > 0 && policy.bytes(shape) > options.memory)
    return fail(Code::out_of_memory, "recurrent state",
                "%s of depth %lld needs %llu bytes per sequence, the budget is %llu",
                to_string(policy.kind), static_cast<long long>(policy.depth),
                static_cast<unsigned long long>(policy.bytes(shape)),
                static_cast<unsigned long long>(options.memory));
  return policy;
}

}  // namespace kedge::inline KEDGE_ABI
