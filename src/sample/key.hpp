// A candidate as one number: the larger logit is the larger key, and of equal logits the lower id.
#pragma once

#include <bit>
#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::sample {

constexpr std::uint64_t key_of(float logit, std::int32_t id) noexcept {
  auto bits = std::bit_cast<std::uint32_t>(logit);
  if (bits == 0x80000000u) bits = 0;  // -0 is +0
  const std::uint32_t ordered = (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
  return std::uint64_t{ordered} << 32 | ~static_cast<std::uint32_t>(id);
}
constexpr std::int32_t id_of(std::uint64_t key) noexcept {
  return static_cast<std::int32_t>(~static_cast<std::uint32_t>(key));
}
constexpr float logit_of(std::uint64_t key) noexcept {
  const auto ordered = static_cast<std::uint32_t>(key >> 32);
  return std::bit_cast<float>((ordered >> 31) != 0 ? ordered & 0x7FFFFFFFu : ~ordered);
}

}  // namespace kedge::inline KEDGE_ABI::sample
