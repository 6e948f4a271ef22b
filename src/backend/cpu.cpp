#include "kedge/backend/cpu.hpp"

#include "kedge/core/os/fp_env.hpp"
#include "kedge/core/os/spin.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {

bool isa_available(Isa isa) noexcept {
  switch (isa) {
    case Isa::scalar:
    case Isa::best:
      return true;
#if defined(__x86_64__)
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c");
    case Isa::avx512:
      return isa_available(Isa::avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
#endif
    default:
      return false;
  }
}

Isa best_isa() noexcept {
  if (isa_available(Isa::avx512)) return Isa::avx512;
  if (isa_available(Isa::avx2)) return Isa::avx2;
  return Isa::scalar;
}

}  // namespace cpu

Result<Cpu> Cpu::create(const Options& options) noexcept {
  Cpu cpu;
  cpu.isa_ = options.isa == cpu::Isa::best ? cpu::best_isa() : options.isa;
  if (!cpu::isa_available(cpu.isa_))
    return fail(Code::unsupported, "cpu", "this processor has no %s", to_string(cpu.isa_));
  cpu.executor_ = options.executor;
  return cpu;
}

namespace {

struct Walk {
  std::span<const cpu::Phase> phases;
  const cpu::Launch& launch;
};

// Worker w of n takes the w-th of n equal ranges of every phase: static, so that a worker meets the
// same weights in its cache again.
void run_range(const cpu::Phase& phase, const cpu::Launch& launch, std::size_t part,
               std::size_t parts) noexcept {
  const std::size_t units = phase.units(phase.args, launch);
  const std::size_t begin = units * part / parts, end = units * (part + 1) / parts;
  if (begin < end) phase.body(phase.args, launch, begin, end);
}

struct GangWalk {
  Walk walk;
  os::SpinBarrier* barrier;
};

void gang_body(void* context, unsigned worker, unsigned workers) noexcept {
  auto& [walk, barrier] = *static_cast<GangWalk*>(context);
  const os::ScopedFpEnv fp;
  for (const cpu::Phase& phase : walk.phases) {
    if (phase.barrier) barrier->wait(workers);
    run_range(phase, walk.launch, worker, workers);
  }
}

}  // namespace

Status Cpu::run(std::span<const cpu::Phase> phases, const cpu::Launch& launch) const noexcept {
  const Walk walk{phases, launch};
  if (executor_ == nullptr || executor_->workers() == 1) {
    const os::ScopedFpEnv fp;
    for (const cpu::Phase& phase : phases) run_range(phase, launch, 0, 1);
    return {};
  }
  if (executor_->co_scheduled()) {
    // The gang may be smaller than asked for (a nested OpenMP region, say), so the barrier learns
    // its size from the gang itself.
    os::SpinBarrier barrier;
    GangWalk context{walk, &barrier};
    return executor_->gang(gang_body, &context);
  }
  struct TaskWalk {
    const cpu::Phase* phase;
    const cpu::Launch& launch;
    std::size_t parts;
  };
  for (const cpu::Phase& phase : phases) {
    // Four parts a worker let the host balance; parts never change a byte.
    const std::size_t units = phase.units(phase.args, launch);
    const std::size_t limit = std::size_t{4} * executor_->workers();
    TaskWalk context{&phase, launch, units < limit ? units : limit};
    KEDGE_CHECK(executor_->tasks(
        context.parts,
        [](void* c, std::size_t task) noexcept {
          const auto& t = *static_cast<TaskWalk*>(c);
          const os::ScopedFpEnv fp;
          run_range(*t.phase, t.launch, task, t.parts);
        },
        &context));
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
