#include "bench/peak.hpp"

#include <chrono>

#include "common/failure.hpp"
#include "kedge/backend/cpu.hpp"

namespace kedge::tools {

namespace {

// Twelve accumulators hide a latency of 4 to 6 cycles at two instructions a cycle. Everything is in
// assembly, or the compiler would take invariant products out of the loop; accumulators begin at 0
// and stay there, which costs what other values cost. Registers 12 to 15 are operands and the
// temporary, which the processor renames.
constexpr std::int64_t accumulators = 12;

#if defined(__x86_64__)
#define KEDGE_FOUR(OP, a, b, c, d) OP(a) OP(b) OP(c) OP(d)
#define KEDGE_TWELVE(OP)             \
  KEDGE_FOUR(OP, "0", "1", "2", "3") \
  KEDGE_FOUR(OP, "4", "5", "6", "7") \
  KEDGE_FOUR(OP, "8", "9", "10", "11")
#define KEDGE_SIXTEEN(OP) KEDGE_TWELVE(OP) KEDGE_FOUR(OP, "12", "13", "14", "15")
#define KEDGE_CLEAR(n) "vxorps %%xmm" n ", %%xmm" n ", %%xmm" n "\n\t"
#define KEDGE_LOOP(OP) \
  asm volatile(KEDGE_SIXTEEN(KEDGE_CLEAR) "1:\n\t" KEDGE_TWELVE(OP) "dec %0\n\tjnz 1b\n\t"      \
               "vzeroupper"                                                                    \
               : "+r"(rounds)                                                                  \
               :                                                                               \
               : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                 "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

#define KEDGE_FMA_ZMM(n) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" n "\n\t"
#define KEDGE_FMA_YMM(n) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" n "\n\t"
#define KEDGE_VNNI_ZMM(n) "vpdpbusd %%zmm14, %%zmm15, %%zmm" n "\n\t"
#define KEDGE_VNNI_YMM(n) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" n "\n\t"
#define KEDGE_VNNI_YMM_EVEX(n) "%{evex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" n "\n\t"
#define KEDGE_MADDUBS_YMM(n)                 \
  "vpmaddubsw %%ymm14, %%ymm15, %%ymm13\n\t" \
  "vpmaddwd %%ymm12, %%ymm13, %%ymm13\n\t"   \
  "vpaddd %%ymm13, %%ymm" n ", %%ymm" n "\n\t"
#define KEDGE_BF16_ZMM(n) "vdpbf16ps %%zmm14, %%zmm15, %%zmm" n "\n\t"

bool has_avx_vnni() noexcept { return cpu::isa_available(cpu::Isa::avxvnni); }

void run(Family family, std::int64_t rounds) noexcept {
  switch (family) {
    case Family::fma_zmm:
      KEDGE_LOOP(KEDGE_FMA_ZMM);
      return;
    case Family::fma_ymm:
      KEDGE_LOOP(KEDGE_FMA_YMM);
      return;
    case Family::vnni_zmm:
      KEDGE_LOOP(KEDGE_VNNI_ZMM);
      return;
    case Family::vnni_ymm:
      if (has_avx_vnni()) KEDGE_LOOP(KEDGE_VNNI_YMM);
      else KEDGE_LOOP(KEDGE_VNNI_YMM_EVEX);
      return;
    case Family::maddubs_ymm:
      KEDGE_LOOP(KEDGE_MADDUBS_YMM);
      return;
    case Family::bf16_zmm:
      KEDGE_LOOP(KEDGE_BF16_ZMM);
      return;
    case Family::none:
      return;
  }
}
#else
void run(Family, std::int64_t) noexcept {}
#endif

std::int64_t per_instruction(Family family) noexcept {
  switch (family) {
    case Family::fma_zmm:
      return 16;
    case Family::fma_ymm:
      return 8;
    case Family::vnni_zmm:
      return 64;
    case Family::vnni_ymm:
      return 32;
    case Family::maddubs_ymm:
      return 32;
    case Family::bf16_zmm:
      return 32;
    case Family::none:
      break;
  }
  return 0;
}

constexpr std::int64_t burst_rounds = 500'000;

}  // namespace

const char* to_string(Family family) noexcept {
  constexpr const char* names[] = {"fma zmm",     "fma ymm",  "vpdpbusd zmm", "vpdpbusd ymm",
                                   "maddubs ymm", "bf16 zmm", "none"};
  return names[static_cast<int>(family)];
}

bool available(Family family) noexcept {
#if defined(__x86_64__)
  switch (family) {
    case Family::fma_zmm:
      return __builtin_cpu_supports("avx512f");
    case Family::fma_ymm:
      return __builtin_cpu_supports("fma");
    case Family::vnni_zmm:
      return __builtin_cpu_supports("avx512vnni");
    case Family::vnni_ymm:
      return has_avx_vnni() ||
             (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl"));
    case Family::maddubs_ymm:
      return __builtin_cpu_supports("avx2");
    case Family::bf16_zmm:
      return __builtin_cpu_supports("avx512bf16");
    case Family::none:
      return true;
  }
#endif
  return family == Family::none;
}

std::vector<Family> available_families() {
  std::vector<Family> list;
  for (int f = 0; f < static_cast<int>(Family::none); ++f)
    if (available(static_cast<Family>(f))) list.push_back(static_cast<Family>(f));
  return list;
}

Family family_of(cpu::Isa isa, Element weight) noexcept {
  if (isa == cpu::Isa::best) isa = cpu::Isa::scalar;  // ask for the one that it stands for
  if (isa == cpu::Isa::avx512) return is_quantized(weight) ? Family::vnni_zmm : Family::fma_zmm;
  if (isa == cpu::Isa::avxvnni) return is_quantized(weight) ? Family::vnni_ymm : Family::fma_ymm;
  if (isa == cpu::Isa::avx2) return is_quantized(weight) ? Family::maddubs_ymm : Family::fma_ymm;
  return Family::none;
}

void ArithmeticPeak::burst(void* context, unsigned, unsigned) noexcept {
  run(static_cast<ArithmeticPeak*>(context)->family_, burst_rounds);
}

double ArithmeticPeak::giga_per_second(Family family) {
  if (!available(family))
    fail_with(Code::unsupported, "peak", "this processor has no {}", to_string(family));
  if (family == Family::none) return 0;
  family_ = family;
  const bool gang = executor_.co_scheduled();
  const auto start = std::chrono::steady_clock::now();
  if (gang) must(executor_.gang(burst, this));
  else burst(this, 0, 1);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  const double workers = gang ? executor_.workers() : 1;
  return workers * static_cast<double>(burst_rounds * accumulators * per_instruction(family)) /
         time.count() / 1e9;
}

}  // namespace kedge::tools
