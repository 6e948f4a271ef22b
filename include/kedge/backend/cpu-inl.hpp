// Bodies of backend/cpu.hpp, compiled once: by the library, or by the one source of a header-only
// program that defines KEDGE_IMPLEMENTATION (header_only.hpp).
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <chrono>

#include "kedge/backend/cpu.hpp"
#include "kedge/core/os/arm.hpp"
#include "kedge/core/os/fp_env.hpp"
#include "kedge/core/os/spin.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {

#if defined(KEDGE_HEADER_ONLY)
Isa best_isa() noexcept { return native_isa; }
bool isa_available(Isa isa) noexcept { return isa == Isa::best || isa == native_isa; }
#else
#if defined(__x86_64__)
// clang 14 has neither of these names. Leaf 1, ECX bit 29, and leaf 7.1, EAX bit 4 (Intel's manual,
// CPUID).
static bool has_f16c() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c >> 29 & 1u) != 0;
}
static bool has_avx_vnni() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1u) != 0;
}
#endif
bool isa_available(Isa isa) noexcept {
  switch (isa) {
    case Isa::scalar:
    case Isa::best:
      return true;
#if defined(__x86_64__)
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    case Isa::avxvnni:
      return isa_available(Isa::avx2) && has_avx_vnni();
    case Isa::avx512:
      return isa_available(Isa::avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    case Isa::neon:
      return os::has_dot_products();
#endif
    default:
      return false;
  }
}

Isa best_isa() noexcept {
  Isa best = Isa::scalar;
  for (const Isa isa : isas)
    if (isa_available(isa)) best = isa;
  return best;
}
#endif

}  // namespace cpu

Result<Cpu> Cpu::create(const Options& options) noexcept {
  Cpu cpu;
  cpu.isa_ = options.isa == cpu::Isa::best ? cpu::best_isa() : options.isa;
  if (!cpu::isa_available(cpu.isa_))
    return fail(Code::unsupported, "cpu", "this processor has no %s", to_string(cpu.isa_));
  cpu.executor_ = options.executor;
  cpu.observer_ = options.observer;
  return cpu;
}

namespace {

// What tells the workers of a run to skip the rest. Every worker still meets the others at every
// barrier, so it does not matter when each of them sees it.
class Stop {
 public:
  explicit Stop(const std::atomic<bool>* asked) noexcept : asked_(asked) {}
  bool watched() const noexcept { return asked_ != nullptr; }
  bool now() noexcept {
    if (asked_ == nullptr) return false;
    if (stopped_.load(std::memory_order_relaxed)) return true;
    if (!asked_->load(std::memory_order_relaxed)) return false;
    stopped_.store(true, std::memory_order_relaxed);
    return true;
  }
  // After the run: whether anything was skipped.
  bool stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }

 private:
  const std::atomic<bool>* asked_;
  std::atomic<bool> stopped_{false};
};

struct Walk {
  std::span<const cpu::Phase> phases;
  cpu::Launch launch;
  os::SpinBarrier* barrier;
  Stop* stop;
  cpu::PhaseObserver* observer;
};

// In a pass over a prompt one phase of a large model lasts a tenth of a second, so it is cut; a
// decoding step's phases last a few milliseconds at most.
constexpr std::int64_t rows_of_a_long_phase = 32;
constexpr std::size_t slices_of_a_long_phase = 16;

// Part p of n equal ranges of a phase. Static, so that a worker meets the same weights in its cache
// again.
void run_part(const cpu::Phase& phase, const cpu::Launch& launch, std::size_t part,
              std::size_t parts, Stop& stop) noexcept {
  const std::size_t units = phase.units(phase.args, launch);
  std::size_t begin = units * part / parts;
  const std::size_t end = units * (part + 1) / parts;
  const bool cut = stop.watched() && launch.rows > rows_of_a_long_phase;
  const std::size_t step = cut ? (end - begin) / slices_of_a_long_phase + 1 : end - begin;
  for (; begin < end && !stop.now(); begin += step)
    phase.body(phase.args, launch, begin, begin + step < end ? begin + step : end);
}

// Tells an observer how long phases took.
class PhaseClock {
 public:
  explicit PhaseClock(cpu::PhaseObserver* observer) noexcept : observer_(observer) {}
  void start() noexcept { start_ = Clock::now(); }
  void ran(const cpu::Phase& phase, const cpu::Launch& launch) noexcept {
    const Clock::time_point end = Clock::now();
    observer_->ran(phase, launch, std::chrono::duration<double>(end - start_).count());
    start_ = Clock::now();
  }

 private:
  using Clock = std::chrono::steady_clock;
  cpu::PhaseObserver* observer_;
  Clock::time_point start_;
};

// A phase ends where the next one may begin.
void observed_body(void* context, unsigned worker, unsigned workers) noexcept {
  const Walk& walk = *static_cast<Walk*>(context);
  const os::ScopedFpEnv fp;
  walk.barrier->wait(workers);
  PhaseClock clock(walk.observer);
  clock.start();
  for (std::size_t i = 0; i < walk.phases.size(); ++i) {
    run_part(walk.phases[i], walk.launch, worker, workers, *walk.stop);
    if (i + 1 == walk.phases.size() || walk.phases[i + 1].barrier) walk.barrier->wait(workers);
    if (worker == 0) clock.ran(walk.phases[i], walk.launch);
  }
}

void walk_body(void* context, unsigned worker, unsigned workers) noexcept {
  const Walk& walk = *static_cast<Walk*>(context);
  const os::ScopedFpEnv fp;
  for (const cpu::Phase& phase : walk.phases) {
    if (phase.barrier) walk.barrier->wait(workers);
    run_part(phase, walk.launch, worker, workers, *walk.stop);
  }
}

struct TaskWalk {
  const cpu::Phase& phase;
  cpu::Launch launch;
  std::size_t parts;
  Stop* stop;
};

void task_body(void* context, std::size_t task) noexcept {
  const TaskWalk& walk = *static_cast<TaskWalk*>(context);
  const os::ScopedFpEnv fp;
  run_part(walk.phase, walk.launch, task, walk.parts, *walk.stop);
}

Status run_phases(Executor* executor, std::span<const cpu::Phase> phases, const cpu::Launch& launch,
                  Stop& stop, cpu::PhaseObserver* observer) noexcept {
  if (phases.empty() || launch.rows == 0) return {};
  // The gang may be smaller than asked for (a nested OpenMP region, say), so the barrier learns its
  // size from the gang itself.
  os::SpinBarrier barrier;
  Walk walk{phases, launch, &barrier, &stop, observer};
  const Executor::GangBody body = observer == nullptr ? walk_body : observed_body;
  if (executor == nullptr) {
    body(&walk, 0, 1);
    return {};
  }
  if (executor->co_scheduled()) return executor->gang(body, &walk);
  PhaseClock clock(observer);
  if (observer != nullptr) clock.start();
  for (const cpu::Phase& phase : phases) {
    if (stop.now()) return {};
    // Four parts a worker let the host balance; parts never change a byte.
    const std::size_t units = phase.units(phase.args, launch);
    const std::size_t limit = std::size_t{4} * executor->workers();
    TaskWalk task{phase, launch, units < limit ? units : limit, &stop};
    KEDGE_CHECK(executor->tasks(task.parts, task_body, &task));
    if (observer != nullptr) clock.ran(phase, launch);
  }
  return {};
}

}  // namespace

Status Cpu::run(std::span<const cpu::Phase> phases, std::size_t outputs_begin,
                const cpu::Launch& launch, const std::atomic<bool>* cancel) const noexcept {
  Stop stop(cancel);
  KEDGE_CHECK(run_phases(executor_, phases.first(outputs_begin), launch, stop, observer_));
  if (!stop.stopped())
    KEDGE_CHECK(run_phases(executor_, phases.subspan(outputs_begin),
                           {launch.outputs, launch.outputs}, stop, observer_));
  if (stop.stopped())
    return fail(Code::cancelled, "cpu", "stopped within a pass of %lld rows",
                static_cast<long long>(launch.rows));
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
