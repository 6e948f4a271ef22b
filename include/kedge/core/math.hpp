// sin, cos, exp and log in double whose bytes are the same on every machine, compiler and C
// library: tables of a model (rotary angles) must not depend on libm. They use + - * / only, in
// round to nearest even (os/fp_env.hpp), and live in the compiled library, where no compiler may
// fuse them.
#pragma once

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::math {

// Absolute error below 1e-15 for |x| <= 1e6 radians. Beyond that the reduction loses digits; above
// 1e15, for infinities and for NaN the result is NaN.
KEDGE_API double sin(double x) noexcept;
KEDGE_API double cos(double x) noexcept;

// Relative error below 1e-15 wherever the result is a normal number; 0 below -708, infinity above
// 709.7.
KEDGE_API double exp(double x) noexcept;

// Error below 1e-15, relative or absolute. NaN for x < 0, -infinity for 0.
KEDGE_API double log(double x) noexcept;

}  // namespace kedge::inline KEDGE_ABI::math
