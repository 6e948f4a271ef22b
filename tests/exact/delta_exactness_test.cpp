// Equal bytes of gated_delta, whatever is kept, however the text is cut, whoever computes, and
// whichever way accepted rows become part of the state.
#include <gtest/gtest.h>

#include <map>

#include "support/all_executors.hpp"
#include "support/delta_world.hpp"
#include "support/operator_call.hpp"

namespace kedge::tests {
namespace {

using Bytes = std::vector<float>;

bool same(const Bytes& a, const Bytes& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

const DeltaShape shapes[] = {{1, 2, 64, 64},
                             {2, 4, 24, 40, false, true},
                             {1, 3, 17, 20, false, true, true},
                             {2, 2, 32, 48, true, false, false, Gate::wide},
                             {1, 1, 128, 128, false, false, false, Gate::near_zero, true}};

// The text row by row: what everything else is compared with. State p is that after p rows.
struct Plain {
  std::vector<Bytes> y, state;
};
Plain plain(const DeltaWorld& world, const Tested& cpu) {
  Plain result;
  DeltaWorld::Memory memory(world, 2);
  std::memset(memory.state.data, 0, memory.state.bytes() / 2);
  result.state.push_back(memory.plane(0));
  for (std::int64_t p = 0; p < world.positions(); ++p) {
    const auto to = static_cast<std::int32_t>(1 - p % 2);
    result.y.push_back(world.pass(cpu, memory, {p}, [&](op::RecurrentRun& run, const Tensor& s) {
      run.plane = p == 0 ? -1 : 1 - to;
      op::recurrent_step(s, 0).plane = to;
    }));
    result.state.push_back(memory.plane(to));
  }
  return result;
}

void expect_rows(const Plain& expected, const Bytes& y, std::size_t first, const std::string& how) {
  const std::size_t width = expected.y[0].size();
  for (std::size_t r = 0; r * width < y.size(); ++r) {
    const auto at = y.begin() + static_cast<std::ptrdiff_t>(r * width);
    ASSERT_TRUE(same(expected.y[first + r], Bytes(at, at + static_cast<std::ptrdiff_t>(width))))
        << "y of position " << first + r << ", " << how;
  }
}

#ifndef KEDGE_TEST_VULKAN
TEST(DeltaExact, IsasAndExecutors) {
  const auto executors = all_executors();
  for (const DeltaShape& shape : shapes) {
    const DeltaWorld world(shape, 9, seed());
    const Plain expected = plain(world, make_cpu(cpu::Isa::scalar));
    for (const cpu::Isa isa : available_isas())
      for (const auto& [name, executor] : executors) {
        const std::string how =
            shape.text() + ", " + to_string(isa) + ", " + name + ", seed " + std::to_string(seed());
        DeltaWorld::Memory memory(world, 1);
        const Bytes y = world.pass(
            make_cpu(isa, executor.get()), memory, DeltaWorld::range(0, 9),
            [](op::RecurrentRun&, const Tensor& steps) { op::recurrent_step(steps, 8).plane = 0; });
        expect_rows(expected, y, 0, how);
        EXPECT_TRUE(same(memory.plane(0), expected.state[9])) << how;
      }
  }
}
#endif

// Any split, any number of kept states; slot s of a pass is the state after all but s rows.
TEST(DeltaExact, SplitsAndKept) {
  std::mt19937_64 random(seed());
  for (const DeltaShape& shape : shapes)
    for (const TestedKind isa : tested_kinds()) {
      constexpr std::int64_t positions = 40;
      const DeltaWorld world(shape, positions, seed());
      const Tested& cpu = make_tested(isa);
      const Plain expected = plain(world, cpu);
      for (int trial = 0; trial < 6; ++trial) {
        constexpr std::int32_t ring = 9;
        DeltaWorld::Memory memory(world, ring);
        std::int32_t newest = -1;
        for (std::int64_t p = 0; p < positions;) {
          const auto rows = static_cast<std::int32_t>(
              1 + random() % static_cast<std::uint64_t>(std::min<std::int64_t>(16, positions - p)));
          const auto keep = static_cast<std::int32_t>(1 + random() % 8);
          std::vector<std::int32_t> planes;  // newest first, anything but the incoming plane
          for (std::int32_t s = 0; s < keep; ++s)
            planes.push_back((newest + keep - s + ring) % ring);
          const std::string how = shape.text() + ", " + to_string(isa) + ", rows " +
                                  std::to_string(rows) + " from " + std::to_string(p) +
                                  ", keeping " + std::to_string(keep) + ", seed " +
                                  std::to_string(seed());
          const Bytes y = world.pass(cpu, memory, DeltaWorld::range(p, p + rows),
                                     [&](op::RecurrentRun& run, const Tensor& steps) {
                                       run.plane = newest;
                                       op::keep_newest_first(steps, run, planes.data(), keep);
                                     });
          expect_rows(expected, y, static_cast<std::size_t>(p), how);
          for (std::int32_t s = 0; s < keep && s < rows; ++s)
            ASSERT_TRUE(same(memory.plane(planes[static_cast<std::size_t>(s)]),
                             expected.state[static_cast<std::size_t>(p + rows - s)]))
                << "slot " << s << ", " << how;
          if (keep > rows && newest >= 0) {
            ASSERT_TRUE(same(memory.plane(newest), expected.state[static_cast<std::size_t>(p)]))
                << "the incoming state was changed, " << how;
          }
          newest = planes[0];
          p += rows;
        }
      }
    }
}

// Random rounds of drafts: a pass computes `rows` of which `accepted` count. Snapshots move to a
// plane; Replay keeps records and lets the next pass catch up; in place starts over from a copy.
TEST(DeltaExact, SnapshotsReplayAndPlain) {
  std::mt19937_64 random(seed());
  for (const DeltaShape& shape : shapes)
    for (const TestedKind isa : tested_kinds()) {
      constexpr std::int64_t positions = 60;
      constexpr std::int32_t most = 6;
      const DeltaWorld world(shape, positions, seed() + 1);
      const Tested& cpu = make_tested(isa);
      const Plain expected = plain(world, cpu);
      DeltaWorld::Memory planes(world, most + 1), records(world, 2, 2 * most);
      std::int32_t current = -1, base = -1, pending = 0, oldest = 0;
      for (std::int64_t p = 0; p < positions;) {
        const auto rows = static_cast<std::int32_t>(
            1 + random() % static_cast<std::uint64_t>(std::min<std::int64_t>(most, positions - p)));
        const auto accepted =
            static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(rows + 1));
        const std::string how = shape.text() + ", " + to_string(isa) + ", " + std::to_string(rows) +
                                " rows from " + std::to_string(p) + ", accepted " +
                                std::to_string(accepted) + ", seed " + std::to_string(seed());
        const std::vector<std::int64_t> at = DeltaWorld::range(p, p + rows);
        expect_rows(expected,
                    world.pass(cpu, planes, at,
                               [&](op::RecurrentRun& run, const Tensor& steps) {
                                 run.plane = current;
                                 for (std::int32_t r = 0; r < rows; ++r)
                                   op::recurrent_step(steps, r).plane =
                                       (current + 1 + r + most + 1) % (most + 1);
                               }),
                    static_cast<std::size_t>(p), "snapshots, " + how);
        if (accepted > 0) current = (current + accepted + most + 1) % (most + 1);

        const std::int32_t first = (oldest + pending) % (2 * most), to = base < 0 ? 0 : 1 - base;
        expect_rows(expected,
                    world.pass(cpu, records, at,
                               [&](op::RecurrentRun& run, const Tensor& steps) {
                                 run.plane = base;
                                 run.replay = pending;
                                 run.record = oldest;
                                 if (pending > 0) run.base_plane = to;
                                 for (std::int32_t r = 0; r < rows; ++r)
                                   op::recurrent_step(steps, r).record = (first + r) % (2 * most);
                               }),
                    static_cast<std::size_t>(p), "replay, " + how);
        if (pending > 0) {
          base = to;
          ASSERT_TRUE(same(records.plane(base), expected.state[static_cast<std::size_t>(p)]))
              << "the replayed state, " << how;
        }
        if (accepted > 0 || pending > 0) {
          oldest = first;
          pending = accepted;
        }
        p += accepted;
        if (::testing::Test::HasFatalFailure()) return;
        if (accepted > 0) {
          ASSERT_TRUE(same(planes.plane(current), expected.state[static_cast<std::size_t>(p)]))
              << how;
        }
      }
    }
}

// base_after in the middle of a run, beside a plane of the same row, and a plane that is read and
// written: the last row of a run may do that.
TEST(DeltaExact, BaseInTheMiddleAndInPlace) {
  for (const DeltaShape& shape : shapes)
    for (const TestedKind isa : tested_kinds()) {
      const DeltaWorld world(shape, 8, seed());
      const Tested& cpu = make_tested(isa);
      const Plain expected = plain(world, cpu);
      for (const std::int32_t after : {0, 1, 5, 8})
        for (const bool beside : {false, true}) {
          DeltaWorld::Memory memory(world, 3);
          world.pass(cpu, memory, DeltaWorld::range(0, 8),
                     [&](op::RecurrentRun& run, const Tensor& steps) {
                       run.base_plane = 0;
                       run.base_after = after;
                       op::recurrent_step(steps, 7).plane = 2;
                       if (beside && after > 0) op::recurrent_step(steps, after - 1).plane = 1;
                     });
          EXPECT_TRUE(same(memory.plane(0), expected.state[static_cast<std::size_t>(after)]))
              << shape.text() << " after " << after;
          if (beside && after > 0) {
            EXPECT_TRUE(same(memory.plane(1), expected.state[static_cast<std::size_t>(after)]));
          }
        }
      DeltaWorld::Memory memory(world, 1);
      std::memset(memory.state.data, 0, memory.state.bytes());
      for (const auto& [first, last] : {std::pair{0, 1}, std::pair{1, 6}, std::pair{6, 8}})
        world.pass(cpu, memory, DeltaWorld::range(first, last),
                   [&, rows = last - first](op::RecurrentRun& run, const Tensor& steps) {
                     run.plane = 0;
                     op::recurrent_step(steps, rows - 1).plane = 0;
                   });
      EXPECT_TRUE(same(memory.plane(0), expected.state[8])) << shape.text() << " in place";
    }
}

// Random trees: each row gives the bytes of the linear run of its ancestors, whether states on the
// way are kept as planes, as records, or some of each.
TEST(DeltaExact, TreesAreTheirLinearRuns) {
  std::mt19937_64 random(seed());
  constexpr std::int64_t prefix = 3, most = 14;
  for (const DeltaShape& shape : shapes)
    for (const TestedKind isa : tested_kinds()) {
      const DeltaWorld world(shape, prefix + most, seed());
      const Tested& cpu = make_tested(isa);
      for (int trial = 0; trial < 6; ++trial) {
        const auto rows = static_cast<std::int32_t>(2 + random() % (most - 1));
        std::vector<std::int32_t> parent;
        std::vector<bool> by_plane;
        std::string how =
            shape.text() + ", " + to_string(isa) + ", seed " + std::to_string(seed()) + ", parents";
        for (std::int32_t r = 0; r < rows; ++r) {
          parent.push_back(static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(r + 1)) -
                           1);
          by_plane.push_back(trial == 0 || (trial != 1 && random() % 2 == 0));
          how += " " + std::to_string(parent.back()) + (by_plane.back() ? "p" : "r");
        }
        // The state after the records, or after some row, goes to plane 1.
        const auto base_after = static_cast<std::int32_t>(
            trial == 3 || trial == 5 ? random() % static_cast<std::uint64_t>(rows + 1) : 0);
        // The tree's incoming state has a plane and two records behind it.
        DeltaWorld::Memory memory(world, 2 + most, most + 2);
        world.pass(cpu, memory, DeltaWorld::range(0, prefix),
                   [&](op::RecurrentRun&, const Tensor& steps) {
                     op::recurrent_step(steps, 0).plane = 0;
                     op::recurrent_step(steps, 1).record = 0;
                     op::recurrent_step(steps, 2).record = 1;
                   });
        const Bytes y = world.pass(cpu, memory, DeltaWorld::range(prefix, prefix + rows),
                                   [&](op::RecurrentRun& run, const Tensor& steps) {
                                     run.plane = 0;
                                     run.replay = 2;
                                     if (trial % 2 == 1) run.base_plane = 1;
                                     run.base_after = base_after;
                                     for (std::int32_t r = 0; r < rows; ++r) {
                                       op::RecurrentStep& step = op::recurrent_step(steps, r);
                                       step.parent = parent[static_cast<std::size_t>(r)];
                                       if (by_plane[static_cast<std::size_t>(r)])
                                         step.plane = 2 + r;
                                       else step.record = 2 + r;
                                     }
                                   });
        const auto width = static_cast<std::ptrdiff_t>(y.size()) / rows;
        for (std::int32_t r = 0; r < rows; ++r) {
          std::vector<std::int64_t> line;
          for (std::int32_t at = r; at >= 0; at = parent[static_cast<std::size_t>(at)])
            line.insert(line.begin(), prefix + at);
          for (std::int64_t p = prefix; p-- > 0;) line.insert(line.begin(), p);
          DeltaWorld::Memory alone(world, 1);
          const Bytes linear =
              world.pass(cpu, alone, line, [&](op::RecurrentRun& run, const Tensor& s) {
                op::recurrent_step(s, run.rows - 1).plane = 0;
              });
          ASSERT_TRUE(same(Bytes(linear.end() - width, linear.end()),
                           Bytes(y.begin() + r * width, y.begin() + (r + 1) * width)))
              << "row " << r << ", " << how;
          if (by_plane[static_cast<std::size_t>(r)]) {
            ASSERT_TRUE(same(alone.plane(0), memory.plane(2 + r)))
                << "state of row " << r << ", " << how;
          }
          if (r + 1 == base_after) {
            ASSERT_TRUE(same(alone.plane(0), memory.plane(1)))
                << "base after " << base_after << ", " << how;
          }
        }
      }
    }
}

}  // namespace
}  // namespace kedge::tests
