// Phase: the border between kernels and everything else. A kernel is a function over a range of
// independent units; how many units there are depends on the arguments and the row count only,
// never on the number of workers, so no partition can change a byte.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

// What varies between two runs of one plan.
struct Launch {
  std::int64_t rows = 0;     // rows of this run; tensors may have room for more
  std::int64_t outputs = 0;  // rows whose logits are wanted
};

// Computes units [begin, end). `args` is the operator's Args.
using PhaseBody = void (*)(const void* args, const Launch& launch, std::size_t begin,
                           std::size_t end) noexcept;
using PhaseUnits = std::size_t (*)(const void* args, const Launch& launch) noexcept;

struct Phase {
  PhaseBody body = nullptr;
  PhaseUnits units = nullptr;
  const void* args = nullptr;
  bool barrier = true;  // wait for all earlier phases first
  // For observers: the operator's name, and which of its phases this is.
  const char* op = "";
  int part = 0;
};

// Is told how long phases take, in their order and by one thread at a time: from a phase's
// beginning to the next one's, waiting for other workers included.
class PhaseObserver {
 public:
  virtual ~PhaseObserver() = default;
  // Between phases, so what it does delays the next one.
  virtual void ran(const Phase& phase, const Launch& launch, double seconds) noexcept = 0;
};

// The phases of one operator, in order; a later one sees everything that an earlier one wrote.
struct PhaseList {
  Phase item[3];
  int count = 0;
};

// Each has what stands before it, on its architecture. avxvnni is avx2 with vpdpbusd, which only
// products of integers have kernels for: processors for desktops since 2021 that have no AVX-512.
// neon is 64-bit Arm with dot products.
enum class Isa : std::uint8_t { scalar, avx2, avxvnni, avx512, neon, best };
inline constexpr Isa isas[] = {Isa::scalar, Isa::avx2, Isa::avxvnni, Isa::avx512, Isa::neon};

constexpr const char* to_string(Isa isa) noexcept {
  constexpr const char* names[] = {"scalar", "avx2", "avxvnni", "avx512", "neon", "best"};
  return names[static_cast<unsigned>(isa)];
}

}  // namespace kedge::inline KEDGE_ABI::cpu

// One table of function pointers per operator and ISA, defined in the operator's unit of that ISA
// under the name KEDGE_UNIT(operator).
#define KEDGE_UNIT(name) KEDGE_UNIT_(name, KEDGE_ISA)
#define KEDGE_UNIT_(name, isa) KEDGE_UNIT_2_(name, isa)
#define KEDGE_UNIT_2_(name, isa) name##_##isa
#if defined(KEDGE_HEADER_ONLY)
#define KEDGE_DECLARE_UNITS(Unit, name) \
  extern const Unit name##_native;      \
  inline const Unit& name##_unit(::kedge::cpu::Isa) noexcept { return name##_native; }
#elif defined(__x86_64__)
#define KEDGE_DECLARE_UNITS(Unit, name)                                  \
  extern KEDGE_API const Unit name##_scalar, name##_avx2, name##_avx512; \
  inline const Unit& name##_unit(::kedge::cpu::Isa isa) noexcept {       \
    using enum ::kedge::cpu::Isa;                                        \
    return isa == avx512                   ? name##_avx512               \
           : isa == avx2 || isa == avxvnni ? name##_avx2                 \
                                           : name##_scalar;              \
  }
// Of units that are compiled for avxvnni, too: kedge_add_op(... DOTS).
#define KEDGE_DECLARE_DOT_UNITS(Unit, name)                                              \
  extern KEDGE_API const Unit name##_scalar, name##_avx2, name##_avxvnni, name##_avx512; \
  inline const Unit& name##_unit(::kedge::cpu::Isa isa) noexcept {                       \
    using enum ::kedge::cpu::Isa;                                                        \
    return isa == avx512    ? name##_avx512                                              \
           : isa == avxvnni ? name##_avxvnni                                             \
           : isa == avx2    ? name##_avx2                                                \
                            : name##_scalar;                                                \
  }
#elif defined(__aarch64__)
#define KEDGE_DECLARE_UNITS(Unit, name)                                  \
  extern KEDGE_API const Unit name##_scalar, name##_neon;                \
  inline const Unit& name##_unit(::kedge::cpu::Isa isa) noexcept {       \
    return isa == ::kedge::cpu::Isa::neon ? name##_neon : name##_scalar; \
  }
#else
#define KEDGE_DECLARE_UNITS(Unit, name)      \
  extern KEDGE_API const Unit name##_scalar; \
  inline const Unit& name##_unit(::kedge::cpu::Isa) noexcept { return name##_scalar; }
#endif
#if !defined(KEDGE_DECLARE_DOT_UNITS)
#define KEDGE_DECLARE_DOT_UNITS KEDGE_DECLARE_UNITS
#endif
