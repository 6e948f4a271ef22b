// Masks: hooks of attention that say which of the earlier keys a row sees. A row always sees its
// own position and never a later one; a mask takes others away. It is a type:
//   struct Window {
//     static constexpr const char* name = "attention_window_128";  // of the operator with this
//     mask static constexpr bool all_earlier = false;                   // true: takes nothing away
//     KEDGE_INLINE static constexpr bool sees(std::int64_t query, std::int64_t key) noexcept {
//       return query - key < 128;  // called for key < query only
//     }
//   };
// op::MaskedAttention<Window> is then an operator like any other (examples/03_your_own_policy.cpp).
#pragma once

#include <cstdint>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::op::mask {

struct Causal {
  static constexpr const char* name = "attention";
  static constexpr bool all_earlier = true;
  KEDGE_INLINE static constexpr bool sees(std::int64_t, std::int64_t) noexcept { return true; }
};

// A mask with `by_row` asks for the argument `first` of the call: sees(query, key, first[row]).
struct Bounded {
  static constexpr const char* name = "bounded_attention";
  static constexpr bool all_earlier = false, by_row = true;
  KEDGE_INLINE static constexpr bool sees(std::int64_t, std::int64_t key,
                                          std::int64_t first) noexcept {
    return key >= first;
  }
};

template <class Mask>
inline constexpr bool by_row = requires {
  Mask::by_row;
};

}  // namespace kedge::inline KEDGE_ABI::op::mask
