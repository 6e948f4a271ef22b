// conv_state: a long text in one call, row by row, in random passes that are partly undone, and as
// trees, gives equal bytes; the ring wraps on the way.
#include <gtest/gtest.h>

#include <random>

#include "cases/conv_state.hpp"
#include "kedge/kernel/cpu/conv_state.hpp"
#include "support/operator_call.hpp"
#include "support/tested_backend.hpp"

namespace kedge::tests {
namespace {

using Op = op::ConvState;
using Bytes = std::vector<float>;

struct ConvWorld {
  ConvWorld(int channels, int taps, bool with_bias, std::int64_t positions)
      : w(seed()),
        x(w.random(1, 1.0f, positions, channels)),
        weight(w.random(2, 0.5f, taps, channels)) {
    if (with_bias) bias = w.random(3, 0.5f, channels);
  }
  // Rows at `at` in a pass of their own; `edit(run, steps)` as the host would fill them.
  template <class Edit>
  Bytes pass(const Tested& cpu, const Tensor& window, const std::vector<std::int64_t>& at,
             Edit edit) {
    const auto rows = static_cast<std::int64_t>(at.size());
    Bytes in, out(static_cast<std::size_t>(rows * x.width()), NAN);
    for (const std::int64_t p : at)
      in.insert(in.end(), x.row<float>(p), x.row<float>(p) + x.width());
    std::vector<std::int32_t> runs(24), steps(static_cast<std::size_t>(4 * rows));
    Op::Args a;
    a.x = tensor(in.data(), Element::f32, rows, x.width());
    a.weight = weight;
    a.bias = bias;
    a.window = window;
    a.window_slots = static_cast<std::int32_t>(window.rows());
    a.runs = tensor(runs.data(), Element::i32, 2, 12);
    a.steps = tensor(steps.data(), Element::i32, rows, 4);
    a.y = tensor(out.data(), Element::f32, rows, x.width());
    op::begin_recurrent_runs(a.runs);
    op::RecurrentRun run;
    run.rows = static_cast<std::int32_t>(rows);
    EXPECT_TRUE(op::add_recurrent_run(a.runs, a.steps, run));
    edit(op::recurrent_run(a.runs, 0), a.steps);
    const Status legal = Op::check_tables(a, rows);
    EXPECT_TRUE(legal) << legal.error().reason;
    const Status ran = cpu.run<Op>(a, rows);
    EXPECT_TRUE(ran) << ran.error().reason;
    return out;
  }
  Bytes row_of(const Bytes& y, std::size_t r) const {
    const auto width = static_cast<std::size_t>(x.width());
    return {y.begin() + static_cast<std::ptrdiff_t>(r * width),
            y.begin() + static_cast<std::ptrdiff_t>((r + 1) * width)};
  }

  cases::Workspace w;
  Tensor x, weight, bias;
};

bool same_row(const Bytes& a, const Bytes& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(ConvExact, RandomPassesAndUndo) {
  std::mt19937_64 random(seed());
  constexpr std::int64_t positions = 60, most = 6;
  for (const int taps : {2, 3, 4, 5, 8})
    for (const bool bias : {false, true})
      for (const TestedKind isa : tested_kinds()) {
        const Tested &cpu = make_tested(isa), &scalar = make_tested(tested_kinds()[0]);
        ConvWorld world(300, taps, bias, positions);
        std::vector<std::int64_t> all;
        for (std::int64_t p = 0; p < positions; ++p) all.push_back(p);
        const Tensor none = world.w.make(Element::f32, taps, 300);
        const Bytes expected =
            world.pass(scalar, none, all, [](op::RecurrentRun&, const Tensor&) {});
        // As few slots as the columns before a pass and those of the pass need.
        const std::int64_t slots = taps - 1 + most;
        const Tensor window = world.w.make(Element::f32, slots, 300);
        std::int64_t newest = 0, real = 0;
        for (std::int64_t p = 0; p < positions;) {
          const auto rows = static_cast<std::int64_t>(
              1 + random() % static_cast<std::uint64_t>(std::min(most, positions - p)));
          const auto accepted =
              static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(rows + 1));
          const std::vector<std::int64_t> at(all.begin() + p, all.begin() + p + rows);
          const Bytes y =
              world.pass(cpu, window, at, [&](op::RecurrentRun& run, const Tensor& steps) {
                run.column = static_cast<std::int32_t>(newest);
                run.columns = static_cast<std::int32_t>(std::min<std::int64_t>(real, taps - 1));
                for (std::int64_t r = 0; r < rows; ++r)
                  op::recurrent_step(steps, r).column =
                      static_cast<std::int32_t>(op::ring_slot(newest, 1 + r, slots));
              });
          for (std::int64_t r = 0; r < rows; ++r)
            ASSERT_TRUE(same_row(world.row_of(expected, static_cast<std::size_t>(p + r)),
                                 world.row_of(y, static_cast<std::size_t>(r))))
                << taps << " taps, bias " << bias << ", " << to_string(isa) << ", position "
                << p + r << ", seed " << seed();
          newest = op::ring_slot(newest, accepted, slots);
          real += accepted;
          p += accepted;
        }
      }
}

// A column may take the slot of one that rows of the same pass still read.
TEST(ConvExact, TightestRing) {
  for (const TestedKind isa : tested_kinds()) {
    ConvWorld world(48, 4, true, 12);
    const Tested& cpu = make_tested(isa);
    std::vector<std::int64_t> all;
    for (std::int64_t p = 0; p < 12; ++p) all.push_back(p);
    const Tensor none = world.w.make(Element::f32, 3, 48);
    const Bytes expected = world.pass(cpu, none, all, [](op::RecurrentRun&, const Tensor&) {});
    const Tensor window = world.w.make(Element::f32, 3, 48);
    for (std::int64_t p = 0; p < 12; p += 3) {
      const Bytes y = world.pass(cpu, window, {p, p + 1, p + 2},
                                 [&](op::RecurrentRun& run, const Tensor& steps) {
                                   run.column = 2;
                                   run.columns = p == 0 ? 0 : 3;
                                   for (std::int32_t r = 0; r < 3; ++r)
                                     op::recurrent_step(steps, r).column = r;
                                 });
      for (std::size_t r = 0; r < 3; ++r)
        EXPECT_TRUE(
            same_row(world.row_of(expected, static_cast<std::size_t>(p) + r), world.row_of(y, r)))
            << to_string(isa) << ", position " << p + std::int64_t(r);
    }
  }
}

TEST(ConvExact, TreesAreTheirLinearRuns) {
  std::mt19937_64 random(seed());
  constexpr std::int64_t prefix = 5, most = 12;
  for (const int taps : {2, 4, 7})
    for (const TestedKind isa : tested_kinds()) {
      const Tested& cpu = make_tested(isa);
      ConvWorld world(40, taps, true, prefix + most);
      const std::int64_t slots = taps - 1 + most;
      const Tensor window = world.w.make(Element::f32, slots, 40);
      const auto columns = static_cast<std::int32_t>(std::min<std::int64_t>(prefix, taps - 1));
      world.pass(cpu, window, {0, 1, 2, 3, 4}, [&](op::RecurrentRun&, const Tensor& steps) {
        for (std::int32_t r = 0; r < prefix; ++r) op::recurrent_step(steps, r).column = r;
      });
      std::vector<std::int64_t> at;
      std::vector<std::int32_t> parent;
      for (std::int64_t r = 0; r < most; ++r) {
        at.push_back(prefix + r);
        parent.push_back(static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(r + 1)) -
                         1);
      }
      const Bytes y = world.pass(cpu, window, at, [&](op::RecurrentRun& run, const Tensor& steps) {
        run.column = prefix - 1;
        run.columns = columns;
        for (std::int32_t r = 0; r < most; ++r)
          op::recurrent_step(steps, r).parent = parent[static_cast<std::size_t>(r)];
      });
      for (std::int32_t r = 0; r < most; ++r) {
        std::vector<std::int64_t> line;
        for (std::int32_t a = r; a >= 0; a = parent[static_cast<std::size_t>(a)])
          line.insert(line.begin(), prefix + a);
        const std::size_t own = line.size();
        for (std::int64_t p = prefix; p-- > 0;) line.insert(line.begin(), p);
        const Tensor none = world.w.make(Element::f32, taps, 40);
        const Bytes linear = world.pass(cpu, none, line, [](op::RecurrentRun&, const Tensor&) {});
        EXPECT_TRUE(
            same_row(world.row_of(linear, prefix + own - 1), world.row_of(y, std::size_t(r))))
            << taps << " taps, row " << r << ", seed " << seed();
      }
    }
}

}  // namespace
}  // namespace kedge::tests
