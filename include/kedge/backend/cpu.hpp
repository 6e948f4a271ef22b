// Cpu: an ISA and an executor that the caller made. Operators become phases
// (Kernel<Cpu, Op>::phases(isa, args)); run() walks phases with every worker.
#pragma once

#include <atomic>
#include <memory>
#include <span>

#include "kedge/core/executor.hpp"
#include "kedge/kernel/cpu/kernel.hpp"

namespace kedge::inline KEDGE_ABI {

class Accelerator;

class KEDGE_API Cpu {
 public:
  struct Options {
    cpu::Isa isa = cpu::Isa::best;
    Executor* executor = nullptr;            // borrowed; null: the calling thread alone
    cpu::PhaseObserver* observer = nullptr;  // borrowed; is told of every phase
  };

  // Code::unsupported when this processor or build lacks the ISA asked for.
  static Result<Cpu> create(const Options& options) noexcept;

  cpu::Isa isa() const noexcept { return isa_; }
  // None: what Model::Options takes where models compute here.
  std::shared_ptr<Accelerator> accelerator() const noexcept { return nullptr; }
  unsigned workers() const noexcept { return executor_ == nullptr ? 1 : executor_->workers(); }

  // Runs the phases in order under Kedge's floating-point modes. A phase without `barrier` may run
  // beside the ones before it. Phases from `outputs_begin` on see launch.outputs as their rows.
  // `cancel`, when given, is looked at between phases, and within them in passes of many rows: once
  // it is true the workers skip what is left and Code::cancelled comes back.
  Status run(std::span<const cpu::Phase> phases, std::size_t outputs_begin,
             const cpu::Launch& launch, const std::atomic<bool>* cancel = nullptr) const noexcept;

  // One operator at once: check, cut into phases, run for the first `rows` rows of the arguments.
  // Operators on logits run for as many outputs.
  template <class Op>
  Status run(const typename Op::Args& args, std::int64_t rows) const noexcept {
    KEDGE_CHECK(Op::check(args));
    KEDGE_TRY(cpu::PhaseList list, Kernel<Cpu, Op>::phases(isa_, args));
    for (int i = 0; i < list.count; ++i) {
      list.item[i].args = &args;
      list.item[i].op = Op::name;
      list.item[i].part = i;
    }
    const auto count = static_cast<std::size_t>(list.count);
    return run(std::span<const cpu::Phase>(list.item, count), count, cpu::Launch{rows, rows});
  }

 private:
  cpu::Isa isa_ = cpu::Isa::scalar;
  Executor* executor_ = nullptr;
  cpu::PhaseObserver* observer_ = nullptr;
};

namespace cpu {

KEDGE_API bool isa_available(Isa isa) noexcept;
KEDGE_API Isa best_isa() noexcept;

}  // namespace cpu

}  // namespace kedge::inline KEDGE_ABI
