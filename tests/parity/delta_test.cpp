// gated_delta against the truth in double, with a sharp bound: every output and every kept state is
// within 16 x 2^-24 of the sum of the magnitudes it is made of.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "support/delta_world.hpp"
#include "support/operator_call.hpp"

namespace kedge::tests {
namespace {

using Op = op::GatedDelta;
constexpr double bound = 16 * 0x1p-24;

// Error over bound; infinity for a NaN.
double excess(float found, double truth, double terms) {
  const double error = std::fabs(double(found) - truth);
  return error <= bound * terms + 1e-37 ? error / (bound * terms + 1e-37)
         : std::isnan(error)            ? HUGE_VAL
                                        : error / (bound * terms);
}

double largest_excess = 0;  // over all tests, printed at the end
std::string largest_where;

void note(double value, const std::string& where) {
  if (value <= largest_excess) return;
  largest_excess = value;
  largest_where = where;
}

// Runs `rows` rows of a new sequence keeping `keep` states, and compares everything.
void check(const DeltaWorld& world, const DeltaShape& shape,
           const std::vector<DeltaWorld::Truth>& truth, const Cpu& cpu, std::int64_t rows,
           std::int32_t keep) {
  DeltaWorld::Memory memory(world, keep);
  std::vector<std::int32_t> planes;
  for (std::int32_t p = 0; p < keep; ++p) planes.push_back(p);
  const std::vector<float> y = world.pass(cpu, memory, DeltaWorld::range(0, rows),
                                          [&](op::RecurrentRun& run, const Tensor& steps) {
                                            op::keep_newest_first(steps, run, planes.data(), keep);
                                          });
  const std::string where = shape.text() + ", " + std::to_string(rows) + " rows, keeping " +
                            std::to_string(keep) + ", " + to_string(cpu.isa());
  const op::DeltaLayout layout{shape.key_dim, shape.value_dim};
  double worst_y = 0, worst_state = 0;
  for (std::int64_t h = 0; h < shape.value_heads; ++h) {
    const DeltaWorld::Truth& t = truth[static_cast<std::size_t>(h)];
    for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r)
      for (std::size_t j = 0; j < t.y[r].size(); ++j) {
        const auto at = r * static_cast<std::size_t>(Op::values(world.settings())) +
                        static_cast<std::size_t>(h * shape.value_dim) + j;
        worst_y = std::fmax(worst_y, excess(y[at], t.y[r][j], t.y_terms[r][j]));
      }
    for (std::int32_t slot = 0; slot < keep && slot < rows; ++slot) {
      const auto& state = t.state[static_cast<std::size_t>(rows - 1 - slot)];
      const auto& terms = t.state_terms[static_cast<std::size_t>(rows - 1 - slot)];
      const float* found = memory.state.row<float>(slot) + h * shape.key_dim * shape.value_dim;
      for (std::size_t at = 0; at < state.size(); ++at)
        worst_state =
            std::fmax(worst_state, excess(found[layout.index(std::int64_t(at) / shape.value_dim,
                                                             std::int64_t(at) % shape.value_dim)],
                                          state[at], terms[at]));
    }
  }
  EXPECT_LE(worst_y, 1) << "y, in bounds; " << where;
  EXPECT_LE(worst_state, 1) << "state, in bounds; " << where;
  note(std::fmax(worst_y, worst_state), where);
}

void check_shape(DeltaShape shape) {
  constexpr std::int64_t most = 130;
  for (const Gate gate : {Gate::near_zero, Gate::near_minus_20, Gate::wide}) {
    shape.gate = gate;
    const DeltaWorld world(shape, most, seed());
    std::vector<DeltaWorld::Truth> truth;
    for (std::int64_t h = 0; h < shape.value_heads; ++h) truth.push_back(world.truth(h, most));
    for (const cpu::Isa isa : available_isas()) {
      const Cpu cpu = make_cpu(isa);
      for (const std::int32_t rows : {1, 2, 3, 5, 8, 63, 64, 65, 130})
        for (const std::int32_t keep : {1, 2, rows, rows + 2}) {
          // What the number of kept states could change is the same for all lengths.
          if (keep > 2 && rows > 8 && rows != 65) continue;
          check(world, shape, truth, cpu, rows, keep);
          if (::testing::Test::HasFailure()) return;
        }
    }
  }
}

#define KEDGE_BOUND(name, ...) \
  TEST(DeltaBound, name) { check_shape({__VA_ARGS__}); }
KEDGE_BOUND(SquareTiledByOne, 1, 1, 64, 64)
KEDGE_BOUND(SquareTiledByTwo, 2, 4, 32, 32)
KEDGE_BOUND(GroupedByThree, 1, 3, 32, 32, false, true)
KEDGE_BOUND(TiledByThree, 2, 6, 16, 16, false, false, true)
KEDGE_BOUND(GroupedByTwoMaxNorm, 2, 4, 24, 40, false, true, true)
KEDGE_BOUND(QwenHead, 1, 1, 128, 128)
KEDGE_BOUND(WideKey, 1, 1, 256, 16)
KEDGE_BOUND(WideValue, 1, 1, 16, 256)
KEDGE_BOUND(OddSizes, 1, 2, 17, 35)
KEDGE_BOUND(ZeroKey, 2, 2, 32, 32, false, false, false, Gate::near_zero, true)
KEDGE_BOUND(ZeroKeyMaxNorm, 2, 2, 32, 32, false, false, true, Gate::near_zero, true)
KEDGE_BOUND(PerChannel, 2, 2, 32, 32, true)
KEDGE_BOUND(PerChannelGroupedUnequal, 1, 2, 48, 20, true, true)
KEDGE_BOUND(PerChannelTiled, 2, 4, 16, 36, true)
KEDGE_BOUND(PerChannelZeroKey, 1, 1, 64, 32, true, false, false, Gate::wide, true)
#undef KEDGE_BOUND

// The slots that a view of K states per sequence has, in both orders, and the shape that says K.
TEST(DeltaKeep, SlotsOfBothOrders) {
  const DeltaShape shape{1, 2, 16, 32};
  const DeltaWorld world(shape, 6, seed());
  const Cpu cpu = make_cpu(cpu::Isa::best);
  for (const std::int32_t keep : {1, 2, 4, 6}) {
    DeltaWorld::Memory newest(world, keep), oldest(world, keep);
    Tensor view = newest.state;
    view.rank = 3;
    view.extent[0] = 1;
    view.extent[1] = keep;
    view.extent[2] = world.state_values();
    EXPECT_EQ(op::states_kept(view), keep);
    EXPECT_EQ(op::states_kept(newest.state), 1);
    std::vector<std::int32_t> planes;
    for (std::int32_t p = 0; p < op::states_kept(view); ++p) planes.push_back(p);
    const std::vector<std::int64_t> rows = DeltaWorld::range(0, 6);
    world.pass(cpu, newest, rows, [&](op::RecurrentRun& run, const Tensor& steps) {
      op::keep_newest_first(steps, run, planes.data(), keep);
    });
    world.pass(cpu, oldest, rows, [&](op::RecurrentRun& run, const Tensor& steps) {
      op::keep_chronological(steps, run, planes.data(), keep);
    });
    for (std::int32_t slot = 0; slot < keep; ++slot) {
      EXPECT_EQ(newest.plane(slot), oldest.plane(keep - 1 - slot)) << "slot " << slot;
      // Slot s is what a shorter run ends with.
      DeltaWorld::Memory shorter(world, 1);
      world.pass(cpu, shorter, DeltaWorld::range(0, 6 - slot),
                 [&](op::RecurrentRun& run, const Tensor& steps) {
                   op::keep_newest_first(steps, run, planes.data(), 1);
                 });
      EXPECT_EQ(newest.plane(slot), shorter.plane(0)) << "slot " << slot << " of " << keep;
    }
  }
}

// HK = 1, HV = 2, key and value size 2, three rows: computed by hand elsewhere, printed to seven
// digits. softplus(x) = log1p(e^x), decay = -e^A softplus(a + dt), beta = sigmoid(b).
TEST(DeltaGolden, ThreeRowsOfTwoHeads) {
  const double q[3][2] = {{-.5224383, .8269865}, {.2249833, .8539629}, {-.9013176, .7115671}};
  const double k[3][2] = {{-.2780297, -.8937873}, {-.8624319, .967874}, {.9456101, .0625016}};
  const double v[3][2][2] = {{{-.0962848, .0956788}, {.210072, .5548346}},
                             {{.5596247, -.1638453}, {-.051784, .704287}},
                             {{-.2750722, -.0369855}, {-.8161175, .4982744}}};
  const double a[3][2] = {{1.3368057, -.5675482}, {-1.2846037, 1.927054}, {-1.5117353, -.1808883}};
  const double b[3][2] = {{-.174706, -1.5679683}, {-1.5438978, .4863851}, {1.0913152, -1.6618342}};
  const double a_log[2] = {.2111343, .8526955}, dt[2] = {-.4685447, .1810242};
  const double y[3][2][2] = {{{.0201567, -.0200298}, {-.016621, -.0438987}},
                             {{.0626796, -.0353195}, {-.0126422, .1700784}},
                             {{.1571412, -.0074478}, {.064262, .0135859}}};
  const double first[2][2][2] = {{{.0130538, -.0129716}, {.0419642, -.0417001}},
                                 {{-.010764, -.0284294}, {-.0346032, -.0913927}}};
  const double last[2][2][2] = {{{-.2213315, -.024006}, {.0782901, -.0474058}},
                                {{-.1263379, .0305956}, {-.0133628, .0697615}}};
  DeltaWorld world({1, 2, 2, 2}, 3, 1);
  for (std::size_t t = 0; t < 3; ++t)
    for (std::size_t i = 0; i < 2; ++i) {
      world.x()[8 * t + i] = static_cast<float>(q[t][i]);
      world.x()[8 * t + 2 + i] = static_cast<float>(k[t][i]);
      for (std::size_t h = 0; h < 2; ++h)
        world.x()[8 * t + 4 + 2 * h + i] = static_cast<float>(v[t][h][i]);
      world.decay()[2 * t + i] =
          static_cast<float>(-std::exp(a_log[i]) * std::log1p(std::exp(a[t][i] + dt[i])));
      world.beta()[2 * t + i] = static_cast<float>(1 / (1 + std::exp(-b[t][i])));
    }
  for (const cpu::Isa isa : available_isas()) {
    DeltaWorld::Memory memory(world, 3);
    const std::int32_t planes[] = {0, 1, 2};
    const std::vector<float> found = world.pass(make_cpu(isa), memory, {0, 1, 2},
                                                [&](op::RecurrentRun& run, const Tensor& steps) {
                                                  op::keep_newest_first(steps, run, planes, 3);
                                                });
    for (std::size_t h = 0; h < 2; ++h)
      for (std::size_t j = 0; j < 2; ++j) {
        for (std::size_t t = 0; t < 3; ++t)
          EXPECT_NEAR(found[4 * t + 2 * h + j], y[t][h][j], 1e-6) << t << " " << h << " " << j;
        for (std::size_t i = 0; i < 2; ++i) {
          EXPECT_NEAR(memory.plane(2)[4 * h + 2 * i + j], first[h][i][j], 1e-6);
          EXPECT_NEAR(memory.plane(0)[4 * h + 2 * i + j], last[h][i][j], 1e-6);
        }
      }
  }
}

class PrintLargest : public ::testing::Environment {
 public:
  void TearDown() override {
    std::printf("  largest error: %.3f of the bound 16 x 2^-24 x sum of |terms| (%s)\n",
                largest_excess, largest_where.c_str());
  }
};
const auto* const print_largest = ::testing::AddGlobalTestEnvironment(new PrintLargest);

}  // namespace
}  // namespace kedge::tests
