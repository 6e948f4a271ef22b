// Graphs frozen into plans: values that share memory do not disturb each other, phases wait where
// they must, and a plan made for 16 rows runs 5.
#include "kedge/graph/plan.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "cases/case.hpp"
#include "kedge/kernel/cpu/add.hpp"
#include "kedge/kernel/cpu/quantize_rows.hpp"
#include "kedge/kernel/cpu/rms_norm.hpp"
#include "kedge/kernel/cpu/row_lookup.hpp"
#include "kedge/kernel/cpu/silu_mul.hpp"
#include "support/all_executors.hpp"

namespace kedge::tests {
namespace {

constexpr std::int64_t max_rows = 16, max_outputs = 4, width = 96;

// x -> a chain with branches, so that some values live long and others share their memory:
//   h = norm(x); g = silu_mul(h, x); s = g + h; x += s   (`blocks` times)
//   outputs: last = x[output_row]; y = norm(last)
struct Chain {
  Graph graph{max_rows, max_outputs};
  Tensor x, output_row, y;
  std::vector<Tensor> weights;  // one per norm
};

void build(Chain& c, cases::Workspace& w, int blocks, float eps = 1e-5f) {
  const auto must = [](auto result) {
    EXPECT_TRUE(result) << result.error().place << ": " << result.error().reason;
    return *std::move(result);
  };
  c.x = must(c.graph.external(Element::f32, width));
  c.output_row = must(c.graph.external(Element::i32, max_outputs, Graph::Extent::once));
  for (int i = 0; i <= blocks; ++i)
    c.weights.push_back(w.random(static_cast<std::uint64_t>(50 + i), 1, width));
  for (int i = 0; i < blocks; ++i) {
    const Tensor h = must(c.graph.activation(Element::f32, width));
    ASSERT_TRUE(c.graph.add<op::RmsNorm>({c.x, c.weights[static_cast<std::size_t>(i)], h, eps}));
    const Tensor g = must(c.graph.activation(Element::f32, width));
    ASSERT_TRUE(c.graph.add<op::SiluMul>({h, c.x, g}));
    const Tensor s = must(c.graph.activation(Element::f32, width));
    ASSERT_TRUE(c.graph.add<op::Add>({g, h, s}));
    ASSERT_TRUE(c.graph.add<op::Add>({c.x, s, c.x}));
  }
  c.graph.begin_outputs();
  const Tensor last = must(c.graph.activation(Element::f32, width, Graph::Extent::outputs));
  ASSERT_TRUE(c.graph.add<op::RowLookup>({c.output_row, c.x, last}));
  c.y = must(c.graph.external(Element::f32, width, Graph::Extent::outputs));
  ASSERT_TRUE(c.graph.add<op::RmsNorm>({last, c.weights.back(), c.y, eps}));
}

// The same by direct calls, each value in memory of its own.
std::vector<float> direct(const Chain& c, const Tensor& input, std::int64_t rows,
                          std::span<const std::int32_t> outputs, int blocks) {
  cases::Workspace w(1);
  const Cpu cpu = *Cpu::create({});
  const Tensor x = w.make(Element::f32, rows, width);
  std::memcpy(x.data, input.data, x.bytes());
  for (int i = 0; i < blocks; ++i) {
    const Tensor h = w.make(Element::f32, rows, width), g = w.make(Element::f32, rows, width),
                 s = w.make(Element::f32, rows, width);
    EXPECT_TRUE(cpu.run<op::RmsNorm>({x, c.weights[static_cast<std::size_t>(i)], h, 1e-5f}, rows));
    EXPECT_TRUE(cpu.run<op::SiluMul>({h, x, g}, rows));
    EXPECT_TRUE(cpu.run<op::Add>({g, h, s}, rows));
    EXPECT_TRUE(cpu.run<op::Add>({x, s, x}, rows));
  }
  const auto count = static_cast<std::int64_t>(outputs.size());
  const Tensor last = w.make(Element::f32, count, width), y = w.make(Element::f32, count, width);
  for (std::int64_t i = 0; i < count; ++i)
    std::memcpy(last.row<float>(i), x.row<float>(outputs[static_cast<std::size_t>(i)]), width * 4);
  EXPECT_TRUE(cpu.run<op::RmsNorm>({last, c.weights.back(), y, 1e-5f}, count));
  EXPECT_TRUE(w.intact());
  return std::vector<float>(y.as<float>(), y.as<float>() + count * width);
}

TEST(Plan, SharedMemoryAndBarriersOnEveryExecutor) {
  constexpr int blocks = 6;
  cases::Workspace w(3);
  Chain chain;
  build(chain, w, blocks);
  const Tensor input = w.random(9, 1, max_rows, width);
  for (const NamedExecutor& e : all_executors()) {
    const Cpu cpu = *Cpu::create({cpu::Isa::best, e.executor.get()});
    auto plan = Plan::compile(chain.graph, cpu);
    ASSERT_TRUE(plan) << plan.error().reason;
    // Six blocks of three values would need 18 places of their own.
    EXPECT_LT(plan->arena_bytes(), 10u * max_rows * width * 4) << "no memory is shared";
    EXPECT_GT(plan->barriers(), 4u * blocks - 1) << "every node here reads what one before wrote";
    for (int i = 0; i < (e.name == "pool of 3" ? 100 : 24); ++i) {
      const std::int64_t rows = 1 + i % max_rows;
      const std::int64_t count = std::min<std::int64_t>(1 + i % max_outputs, rows);
      std::vector<std::int32_t> outputs;
      for (std::int64_t o = 0; o < count; ++o)
        outputs.push_back(static_cast<std::int32_t>((i * 7 + o) % rows));
      std::memcpy(plan->locate(chain.x).data, input.data,
                  static_cast<std::size_t>(rows * width) * 4);
      std::memcpy(plan->locate(chain.output_row).data, outputs.data(), outputs.size() * 4);
      ASSERT_TRUE(plan->run(rows, count));
      const auto expected = direct(chain, input, rows, outputs, blocks);
      ASSERT_EQ(std::memcmp(plan->locate(chain.y).data, expected.data(), expected.size() * 4), 0)
          << e.name << ", run " << i << ", " << rows << " rows, " << count << " outputs";
    }
  }
}

TEST(Plan, RowsBeyondTheRunAreNotTouched) {
  cases::Workspace w(4);
  Chain chain;
  build(chain, w, 2);
  auto plan = Plan::compile(chain.graph, *Cpu::create({}));
  ASSERT_TRUE(plan);
  const Tensor x = plan->locate(chain.x), y = plan->locate(chain.y);
  std::memset(x.data, 0x41, x.bytes());
  std::memset(y.data, 0x42, y.bytes());
  plan->locate(chain.output_row).as<std::int32_t>()[0] = 4;
  ASSERT_TRUE(plan->run(5, 1));
  const auto untouched = [](const Tensor& t, std::int64_t from, int byte) {
    for (std::int64_t r = from; r < t.rows(); ++r)
      for (std::int64_t i = 0; i < t.width() * 4; ++i)
        if (t.row<unsigned char>(r)[i] != byte) return false;
    return true;
  };
  EXPECT_TRUE(untouched(x, 5, 0x41));
  EXPECT_FALSE(untouched(x, 4, 0x41));
  EXPECT_TRUE(untouched(y, 1, 0x42));
  EXPECT_FALSE(untouched(y, 0, 0x42));
}

// An observer sees every phase of a run once and in its order, and changes nothing.
TEST(Plan, ObserversSeeEveryPhase) {
  struct Observer final : cpu::PhaseObserver {
    void ran(const cpu::Phase& phase, const cpu::Launch& launch, double seconds) noexcept override {
      seen += std::string(phase.op) + (phase.part > 0 ? "'" : "") + " ";
      rows.push_back(launch.rows);
      least = std::min(least, seconds);
    }
    std::string seen;
    std::vector<std::int64_t> rows;
    double least = 0;
  };
  cases::Workspace w(8);
  Chain chain;
  build(chain, w, 1);
  const Tensor input = w.random(9, 1, max_rows, width);
  const std::int32_t outputs[] = {2, 4};
  const auto expected = direct(chain, input, 5, outputs, 1);
  for (const NamedExecutor& e : all_executors()) {
    Observer observer;
    const Cpu cpu = *Cpu::create({cpu::Isa::best, e.executor.get(), &observer});
    auto plan = Plan::compile(chain.graph, cpu);
    ASSERT_TRUE(plan);
    std::memcpy(plan->locate(chain.x).data, input.data, static_cast<std::size_t>(5 * width) * 4);
    std::memcpy(plan->locate(chain.output_row).data, outputs, sizeof outputs);
    ASSERT_TRUE(plan->run(5, 2));
    EXPECT_EQ(observer.seen, "rms_norm silu_mul add add row_lookup rms_norm ") << e.name;
    EXPECT_EQ(observer.rows, (std::vector<std::int64_t>{5, 5, 5, 5, 2, 2})) << e.name;
    EXPECT_GE(observer.least, 0) << e.name;
    EXPECT_EQ(std::memcmp(plan->locate(chain.y).data, expected.data(), expected.size() * 4), 0);
  }
}

// Two nodes that read one value and write two others need no barrier between them.
TEST(Plan, IndependentNodesDoNotWait) {
  cases::Workspace w(5);
  Graph graph(max_rows, max_outputs);
  auto a = graph.external(Element::f32, width), b = graph.external(Element::f32, width),
       c = graph.external(Element::f32, width), d = graph.external(Element::f32, width);
  ASSERT_TRUE(a && b && c && d);
  ASSERT_TRUE(graph.add<op::Add>({*a, *a, *b}));
  ASSERT_TRUE(graph.add<op::SiluMul>({*a, *a, *c}));
  auto plan = Plan::compile(graph, *Cpu::create({}));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->phases(), 2u);
  EXPECT_EQ(plan->barriers(), 0u);
  ASSERT_TRUE(graph.add<op::Add>({*b, *c, *d}));  // reads both
  ASSERT_TRUE(graph.add<op::Add>({*d, *d, *a}));  // writes what was read before the barrier
  plan = Plan::compile(graph, *Cpu::create({}));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->barriers(), 2u);
  // Writing what another node still reads waits too.
  Graph overwrite(max_rows, max_outputs);
  auto x = overwrite.external(Element::f32, width), y = overwrite.external(Element::f32, width),
       z = overwrite.external(Element::f32, width);
  ASSERT_TRUE(overwrite.add<op::Add>({*x, *x, *y}));
  ASSERT_TRUE(overwrite.add<op::Add>({*z, *z, *x}));
  plan = Plan::compile(overwrite, *Cpu::create({}));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->barriers(), 1u);
}

TEST(Plan, WrongCountsAndShapesAreValues) {
  cases::Workspace w(6);
  Chain chain;
  build(chain, w, 1);
  auto plan = Plan::compile(chain.graph, *Cpu::create({}));
  ASSERT_TRUE(plan);
  const auto refused = [&](std::int64_t rows, std::int64_t outputs, const char* word) {
    const Status status = plan->run(rows, outputs);
    return !status && status.error().code == Code::invalid_argument &&
           std::string(status.error().reason).find(word) != std::string::npos;
  };
  EXPECT_TRUE(refused(0, 0, "1..16"));
  EXPECT_TRUE(refused(17, 0, "17"));
  EXPECT_TRUE(refused(-1, 0, "-1"));
  EXPECT_TRUE(refused(5, 5, "0..4"));
  EXPECT_TRUE(refused(5, -1, "-1"));
  EXPECT_TRUE(plan->run(16, 0)) << "a run without outputs is legal";

  Graph graph(max_rows, max_outputs);
  auto a = graph.activation(Element::f32, width), b = graph.activation(Element::f32, width + 1);
  ASSERT_TRUE(a && b);
  const Status status = graph.add<op::Add>({*a, *b, *a});
  ASSERT_FALSE(status) << "the node that is wrong is named at once";
  EXPECT_EQ(status.error().code, Code::invalid_argument);
  EXPECT_NE(std::string(status.error().place).find("add"), std::string::npos);
}

TEST(Plan, RefusedMemoryIsAValue) {
  cases::Workspace w(7);
  Chain chain;
  build(chain, w, 1);
  const Allocator none{[](void*, std::size_t, std::size_t) noexcept -> void* { return nullptr; },
                       [](void*, void*, std::size_t, std::size_t) noexcept {}, nullptr};
  auto plan = Plan::compile(chain.graph, *Cpu::create({}), none);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Code::out_of_memory);
}

}  // namespace
}  // namespace kedge::tests
