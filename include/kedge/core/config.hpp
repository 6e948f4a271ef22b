// Build-wide constants: the inline namespace that lets two versions live in one program, and the
// few compiler facts that every header may rely on.
#pragma once

#if defined(__FAST_MATH__)
#error "Kedge promises equal bytes; -ffast-math lets the compiler reorder sums. Build without it."
#endif

// All names live in kedge::KEDGE_ABI. Bump when a layout or signature changes.
// Header-only programs have a namespace of their own: they may share a process with the library.
#if defined(KEDGE_HEADER_ONLY)
#define KEDGE_ABI v0_header_only
#else
#define KEDGE_ABI v0
#endif

#define KEDGE_VERSION_MAJOR 0
#define KEDGE_VERSION_MINOR 1
#define KEDGE_VERSION_PATCH 0

// Kernels are inlined by force: an out-of-line copy compiled for AVX-512 must never be the one that
// the linker keeps for an older CPU (see tests/contract/weak_symbols).
#define KEDGE_INLINE inline __attribute__((always_inline))

// Symbols of the compiled library that a program may use; everything else is hidden.
#define KEDGE_API __attribute__((visibility("default")))
