// KeyReach: how many guesses behind a key (an n-gram) are worth making, learned per key. It follows
// what held, grows again when all that was looked at held, and never falls to nothing, so that no
// key is lost for a session after one bad draft.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "kedge/core/config.hpp"
#include "kedge/draft/hold_rates.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class KeyReach {
 public:
  void reset() noexcept { slots_ = {}; }

  // At most `most`, at least 1; a key that is not known gets `most`.
  std::int64_t limit(std::uint64_t key, std::int64_t most) const noexcept {
    const Slot& slot = at(key);
    if (slot.key != key) return most;
    return std::clamp(static_cast<std::int64_t>(slot.reach + 0.5f) + 1, std::int64_t{1}, most);
  }
  // `proposed` guesses of which `known` were looked at and `held` held.
  void learn(std::uint64_t key, std::int64_t proposed, LastGuesses::Truth truth,
             std::int64_t most) noexcept {
    if (truth.known == 0) return;
    Slot& slot = slots_[static_cast<std::size_t>(key % count)];
    if (slot.key != key) slot = {key, static_cast<float>(most)};
    const auto held = static_cast<float>(truth.held);
    if (truth.held < truth.known) slot.reach += (held - slot.reach) / 2;
    else if (truth.held == proposed)  // all of it: half as long again, at least one more
      slot.reach = std::max(slot.reach, std::min(held + held / 2 + 1, static_cast<float>(most)));
  }

 private:
  static constexpr std::size_t count = 1024;  // keys that share a slot forget one another
  struct Slot {
    std::uint64_t key = 0;
    float reach = 0;
  };
  const Slot& at(std::uint64_t key) const noexcept {
    return slots_[static_cast<std::size_t>(key % count)];
  }
  std::array<Slot, count> slots_ = {};
};

}  // namespace kedge::inline KEDGE_ABI::draft
