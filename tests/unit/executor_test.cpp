#include "kedge/core/executor.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "kedge/backend/cpu.hpp"
#include "kedge/core/os/spin.hpp"
#include "support/executors.hpp"

namespace kedge::tests {
namespace {

std::unique_ptr<Executor> pool(unsigned workers) {
  auto executor = make_pool_executor(workers);
  EXPECT_TRUE(executor) << executor.error().reason;
  return executor ? *std::move(executor) : nullptr;
}

std::vector<std::unique_ptr<Executor>> all_executors(unsigned workers) {
  std::vector<std::unique_ptr<Executor>> list;
  list.push_back(std::make_unique<SerialExecutor>());
  list.push_back(pool(workers));
  if (auto openmp = make_openmp_executor(workers)) list.push_back(*std::move(openmp));
  return list;
}

TEST(Executor, EveryWorkerAndEveryTaskRunsOnce) {
  for (const unsigned workers : {1u, 2u, 3u, 8u})
    for (const auto& executor : all_executors(workers)) {
      struct Seen {
        std::atomic<int> worker[8] = {};
        std::atomic<int> task[1000] = {};
        std::atomic<unsigned> gang{0};
      } seen;
      ASSERT_TRUE(executor->gang(
          [](void* context, unsigned worker, unsigned count) noexcept {
            auto& s = *static_cast<Seen*>(context);
            s.gang = count;
            ++s.worker[worker];
          },
          &seen));
      ASSERT_GE(seen.gang, 1u);
      ASSERT_LE(seen.gang, executor->workers());
      for (unsigned w = 0; w < 8; ++w) EXPECT_EQ(seen.worker[w], w < seen.gang ? 1 : 0);
      for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{1000}}) {
        for (auto& t : seen.task) t = 0;
        ASSERT_TRUE(executor->tasks(
            count,
            [](void* context, std::size_t task) noexcept {
              ++static_cast<Seen*>(context)->task[task];
            },
            &seen));
        for (std::size_t t = 0; t < 1000; ++t) ASSERT_EQ(seen.task[t], t < count ? 1 : 0) << t;
      }
    }
}

TEST(Executor, ABusyPoolSaysSo) {
  const auto executor = pool(2);
  struct Call {
    Executor* executor;
    Code inner_gang, inner_tasks;
  } call{executor.get(), Code::io, Code::io};
  ASSERT_TRUE(executor->gang(
      [](void* context, unsigned worker, unsigned) noexcept {
        if (worker != 0) return;
        auto& c = *static_cast<Call*>(context);
        const Status gang = c.executor->gang([](void*, unsigned, unsigned) noexcept {}, nullptr);
        if (!gang) c.inner_gang = gang.error().code;
        const Status tasks = c.executor->tasks(
            3, [](void*, std::size_t) noexcept {}, nullptr);
        if (!tasks) c.inner_tasks = tasks.error().code;
      },
      &call));
  EXPECT_EQ(call.inner_gang, Code::busy);
  EXPECT_EQ(call.inner_tasks, Code::busy);
  EXPECT_TRUE(executor->gang([](void*, unsigned, unsigned) noexcept {}, nullptr)) << "free again";
}

// Phases that write units[i] += i, then check that the phase before was complete.
struct Sum {
  static constexpr std::size_t count = 500;
  std::atomic<int> first[count] = {};
  std::atomic<int> wrong{0};
};

void sum_first(const void* args, const cpu::Launch&, std::size_t begin, std::size_t end) noexcept {
  auto& sum = *const_cast<Sum*>(static_cast<const Sum*>(args));
  for (std::size_t i = begin; i < end; ++i) sum.first[i].fetch_add(1, std::memory_order_relaxed);
}
void sum_check(const void* args, const cpu::Launch&, std::size_t begin, std::size_t end) noexcept {
  auto& sum = *const_cast<Sum*>(static_cast<const Sum*>(args));
  for (std::size_t i = begin; i < end; ++i)
    if (sum.first[Sum::count - 1 - i].load(std::memory_order_relaxed) % 2 != 1) ++sum.wrong;
}
std::size_t sum_units(const void*, const cpu::Launch&) noexcept { return Sum::count; }

// Three phases: every unit odd, all checked, every unit even again.
Status run_phases(Executor* executor, Sum& sum) {
  const cpu::Phase phases[] = {{sum_first, sum_units, &sum, true},
                               {sum_check, sum_units, &sum, true},
                               {sum_first, sum_units, &sum, true}};
  auto cpu = Cpu::create({cpu::Isa::scalar, executor});
  if (!cpu) return unexpected(cpu.error());
  return cpu->run(phases, std::size(phases), {1, 1});
}

TEST(Executor, APhaseSeesTheWholeOneBefore) {
  TasksOnlyExecutor tasks(3, true);
  for (const unsigned workers : {1u, 2u, 3u})
    for (const auto& executor : all_executors(workers)) {
      Sum sum;
      for (int call = 0; call < 200; ++call) ASSERT_TRUE(run_phases(executor.get(), sum));
      EXPECT_EQ(sum.wrong, 0);
      for (const auto& n : sum.first) ASSERT_EQ(n, 400);
    }
  Sum sum;
  ASSERT_TRUE(run_phases(&tasks, sum));
  EXPECT_EQ(sum.wrong, 0);
}

// More workers than processors: barriers must give the processor away. Spinning alone would take
// a time slice per barrier, several seconds in all.
TEST(Executor, EightWorkersFinishOnFewProcessors) {
  for (const auto& executor : all_executors(8)) {
    Sum sum;
    const auto begin = std::chrono::steady_clock::now();
    for (int call = 0; call < 100; ++call) ASSERT_TRUE(run_phases(executor.get(), sum));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    EXPECT_EQ(sum.wrong, 0);
    EXPECT_LT(seconds.count(), 20.0);
  }
}

TEST(Executor, TwoOpenMpExecutorsMayNest) {
  auto outer = make_openmp_executor(2), inner = make_openmp_executor(2);
  if (!outer || !inner) GTEST_SKIP() << "this build has no OpenMP";
  struct Nested {
    Executor* inner;
    Sum sums[2];
    std::atomic<int> failed{0};
  } nested{inner->get(), {}, {}};
  ASSERT_TRUE((*outer)->gang(
      [](void* context, unsigned worker, unsigned) noexcept {
        auto& n = *static_cast<Nested*>(context);
        if (!run_phases(n.inner, n.sums[worker])) ++n.failed;
      },
      &nested));
  EXPECT_EQ(nested.failed, 0);
  EXPECT_EQ(nested.sums[0].wrong + nested.sums[1].wrong, 0);
  for (const auto& n : nested.sums[0].first) ASSERT_EQ(n, 2);
}

TEST(Executor, PoolsOfTwoCallersDoNotMeet) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; ++i)
    callers.emplace_back([&wrong] {
      const auto executor = pool(2);
      Sum sum;
      for (int call = 0; call < 100; ++call)
        if (!run_phases(executor.get(), sum)) ++wrong;
      wrong += sum.wrong;
    });
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Executor, PoolsComeAndGo) {
  for (int i = 0; i < 100; ++i) {
    const auto executor = pool(3);
    if (i % 2 == 0) continue;  // ended before its first call
    Sum sum;
    ASSERT_TRUE(run_phases(executor.get(), sum));
  }
}

// The child of a fork has only the thread that forked: a serial executor must work there although
// the parent used pools and OpenMP before.
TEST(Executor, SerialWorksAfterFork) {
  const auto list = all_executors(2);
  Sum sum;
  for (const auto& executor : list) ASSERT_TRUE(run_phases(executor.get(), sum));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(20);  // a child that hangs ends
    Sum own;
    SerialExecutor serial;
    const bool good = run_phases(nullptr, own) && run_phases(&serial, own) && own.wrong == 0;
    _exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  for (const auto& executor : list) EXPECT_TRUE(run_phases(executor.get(), sum)) << "the parent";
}

TEST(Executor, ZeroMeansEveryProcessor) {
  EXPECT_GE(available_processors(), 1u);
  EXPECT_EQ(pool(0)->workers(), available_processors());
}

}  // namespace
}  // namespace kedge::tests
