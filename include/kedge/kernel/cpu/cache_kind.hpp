// The elements of a cache in the order of the tables of kernels that read and write it.
#pragma once

#include "kedge/core/element.hpp"

namespace kedge::inline KEDGE_ABI::cpu {

constexpr unsigned cache_kinds = 4;

constexpr unsigned cache_kind(Element element) noexcept {
  return element == Element::f32    ? 0u
         : element == Element::f16  ? 1u
         : element == Element::bf16 ? 2u
                                    : 3u;
}

}  // namespace kedge::inline KEDGE_ABI::cpu
