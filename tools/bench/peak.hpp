// The arithmetic peak of this machine, per family of instructions that products are made of: what
// wide passes are measured against, as narrow ones are against the read floor.
#pragma once

#include <atomic>
#include <vector>

#include "kedge/core/element.hpp"
#include "kedge/core/executor.hpp"
#include "kedge/kernel/cpu/phase.hpp"

namespace kedge::tools {

enum class Family {
  fma_zmm,      // 16 F32 multiply-adds per instruction
  fma_ymm,      // 8
  vnni_zmm,     // vpdpbusd: 64 int8 multiply-adds
  vnni_ymm,     // 32, with AVX-VNNI or AVX-512VL
  maddubs_ymm,  // vpmaddubsw, vpmaddwd, vpaddd: 32 in three instructions
  bf16_zmm,     // vdpbf16ps: 32
  none,         // scalar code: no bound is known
};

const char* to_string(Family family) noexcept;
bool available(Family family) noexcept;
std::vector<Family> available_families();

// The family that products of an ISA take for weights of this format (attention: f32).
Family family_of(cpu::Isa isa, Element weight) noexcept;

class ArithmeticPeak {
 public:
  explicit ArithmeticPeak(Executor& executor) : executor_(executor) {}
  // 1e9 multiply-adds per second of all workers together, in a burst of a millisecond or two; 0 for
  // Family::none. The family must be available.
  double giga_per_second(Family family);

 private:
  static void burst(void* context, unsigned worker, unsigned workers) noexcept;

  Executor& executor_;
  Family family_ = Family::none;
};

}  // namespace kedge::tools
