// A session's text with the logits of every committed position.
#pragma once

#include <functional>

#include "exact/evaluate.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tests {

struct Decoded {
  std::vector<std::int32_t> tokens;  // generated
  Logits logits;                     // of the prompt's last position and every committed one
  std::vector<Session::Round> rounds;
  StopReason stop = StopReason::none;
  Stats stats;
};

// begin() and rounds until `count` tokens are there or the session stops. After each round, when
// the logits have been recorded, `after` is called.
inline Result<Decoded> decode(Session& session, std::span<const std::int32_t> prompt,
                              std::int64_t count, std::span<const std::int32_t> end_tokens = {},
                              const std::function<void(Session&)>& after = {}) {
  Decoded d;
  d.logits = Logits(session.model().config().vocabulary);
  session.set_least_need(Need::logits);
  KEDGE_TRY(const std::int32_t first, session.begin(prompt));
  d.tokens.push_back(first);
  d.logits.set(session.length() - 1, session.forward().logits(0));
  while (static_cast<std::int64_t>(d.tokens.size()) < count) {
    const std::int64_t length = session.length();
    KEDGE_TRY(Session::Round round,
              session.round(count - static_cast<std::int64_t>(d.tokens.size()), end_tokens));
    d.tokens.insert(d.tokens.end(), round.tokens.begin(), round.tokens.end());
    for (std::int64_t i = 0; i < session.length() - length; ++i)
      d.logits.set(length + i, session.forward().logits(i));
    if (after) after(session);
    round.tokens = {};  // they are good until the next call
    d.rounds.push_back(round);
    d.stop = round.stop;
    if (d.stop != StopReason::none) break;
  }
  d.stats = session.stats();
  return d;
}

inline Decoded must_decode(Session& session, std::span<const std::int32_t> prompt,
                           std::int64_t count, std::span<const std::int32_t> end_tokens = {},
                           const std::function<void(Session&)>& after = {}) {
  auto d = decode(session, prompt, count, end_tokens, after);
  EXPECT_TRUE(d) << show(d.error());
  return d ? *std::move(d) : Decoded();
}

// Which bytes of the pool belong to committed positions of the session's text.
inline std::vector<char> committed_bytes(Session& session) {
  const KvPageLayout& layout = session.cache().layout();
  std::vector<char> kept(session.cache().bytes(), 0);
  const auto* pages =
      session.cache().page_table().row<const std::int32_t>(session.sequence().index());
  for (std::int64_t p = 0; p < session.length(); ++p)
    for (std::int64_t layer = 0; layer < layout.layers; ++layer)
      for (std::int64_t head = 0; head < layout.kv_heads; ++head) {
        const auto base = static_cast<std::size_t>(
            session.cache().head_block(pages[p / page_positions], layer, head) -
            session.cache().pool());
        for_slot_bytes(layout, p % page_positions, [&](std::size_t offset, std::size_t bytes) {
          std::memset(kept.data() + base + offset, 1, bytes);
        });
      }
  return kept;
}

// Everything in the pool that is no committed position becomes NaN: undone rows, rows never used,
// free pages. (Bytes of ones are a NaN in every element, in Q8_0 as the scale.)
inline void poison_uncommitted(Session& session) {
  const std::vector<char> kept = committed_bytes(session);
  std::byte* pool = session.cache().pool();
  for (std::size_t i = 0; i < kept.size(); ++i)
    if (kept[i] == 0) pool[i] = std::byte{0xFF};
}

}  // namespace kedge::tests
