// What the quantizers of single blocks share.
#pragma once

#include "kedge/core/block.hpp"

namespace kedge::inline KEDGE_ABI::quantizer {

// Blocks of finite values. False when a scale would be beyond F16.
bool block_q8_0(const float* x, BlockQ8_0& block) noexcept;
bool block_q4_0(const float* x, BlockQ4_0& block) noexcept;
bool block_q4_k(const float* x, BlockQ4_K& block) noexcept;

inline bool finite_f16(std::uint16_t half) noexcept { return (half & 0x7C00u) != 0x7C00u; }

}  // namespace kedge::inline KEDGE_ABI::quantizer
