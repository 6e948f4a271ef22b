// Operators without the compiled library: the reference and the CPU, at the instruction set that
// the program is compiled for (-march=...). Link the target kedge::header_only (it defines
// KEDGE_HEADER_ONLY for every source) and let exactly one source of the program say
//   #define KEDGE_IMPLEMENTATION
//   #include "kedge/header_only.hpp"
// before it includes any other header of Kedge. That source takes as long to compile as the units
// of one instruction set. Models, files and sessions are in the compiled library alone.
#pragma once

#if !defined(KEDGE_HEADER_ONLY)
#error "link kedge::header_only, or define KEDGE_HEADER_ONLY for every source of the program"
#endif

#if defined(KEDGE_IMPLEMENTATION)
// What the program includes elsewhere keeps its own options: standard headers come first.
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <concepts>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Bytes must not depend on the compiler's taste (docs/exactness.md): nothing is fused that the
// kernels did not fuse.
#if defined(__clang__)
#pragma clang fp contract(off)
#else
#pragma GCC push_options
#pragma GCC optimize("-ffp-contract=off")
// GCC 12 warns about the undefined operand inside its own AVX-512 intrinsics.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#endif

#include "kedge/backend/cpu.hpp"
#include "kedge/backend/reference.hpp"
#include "kedge/operators.hpp"

#if defined(KEDGE_IMPLEMENTATION)
#define KEDGE_ISA native
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && \
    defined(__AVX512DQ__) && defined(__AVX512VNNI__)
#define KEDGE_ISA_IS_avx512 1
#define KEDGE_NATIVE_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define KEDGE_ISA_IS_avx2 1
#if defined(__AVXVNNI__)
#define KEDGE_NATIVE_ISA avxvnni
#else
#define KEDGE_NATIVE_ISA avx2
#endif
#elif defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
#define KEDGE_ISA_IS_neon 1
#define KEDGE_NATIVE_ISA neon
#else
#define KEDGE_ISA_IS_scalar 1
#define KEDGE_NATIVE_ISA scalar
#endif
namespace kedge::inline KEDGE_ABI::cpu {
inline constexpr Isa native_isa = Isa::KEDGE_NATIVE_ISA;
}

#include "kedge/backend/cpu-inl.hpp"
#include "kedge/core/executor_pool-inl.hpp"
#include "kedge/operator_units.inc"

#undef KEDGE_ISA
#undef KEDGE_NATIVE_ISA
#if !defined(__clang__)
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif
#endif
