// Session: one text generated from one model, with or without a drafter. A round drafts, evaluates
// the newest token and the drafts in one pass, keeps what the target itself would have chosen, and
// undoes the rest for nothing. generate() is a loop over round().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "kedge/draft/drafter.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/spec/stats.hpp"
#include "kedge/state/sequence.hpp"

namespace kedge::inline KEDGE_ABI {

enum class StopReason : std::uint8_t { none, end_token, token_limit, context_full, cancelled };

constexpr const char* to_string(StopReason reason) noexcept {
  constexpr const char* names[] = {"none", "end token", "token limit", "context full", "cancelled"};
  return names[static_cast<unsigned>(reason)];
}

struct TokenEvent {
  std::int32_t id = 0;
  std::int64_t position = 0;  // in the text, the prompt's first token being 0
  std::int64_t round = 0;     // 0: from the prompt's pass
  bool drafted = false;       // a draft that held, not the target's correction or bonus
};

struct GenerateOptions {
  std::int64_t max_tokens = 128;
  std::span<const std::int32_t> end_tokens;  // generation stops after one of these
  // Called for every token as soon as it is certain; return false to stop.
  bool (*on_token)(void* context, const TokenEvent& event) noexcept = nullptr;
  void* context = nullptr;
  // Looked at between passes; what is committed stays.
  const std::atomic<bool>* cancel = nullptr;
};

class KEDGE_API Session {
 public:
  struct Options {
    cpu::Isa isa = cpu::Isa::best;
    Executor* executor = nullptr;     // borrowed; null: the calling thread alone
    std::int64_t context = 0;         // positions; 0: the model's, at most 8192
    Element cache = Element::f16;     // of keys and values: f16 or f32
    std::int64_t max_draft = 16;      // tokens drafted per round, at most 31
    std::int64_t prefill_rows = 128;  // of one pass over the prompt
    // Most bytes that this session may take beside the model's weights; 0: no limit. Refused with
    // the bytes needed and the context that would fit, before anything is allocated.
    std::uint64_t memory_budget = 0;
    Allocator allocator = default_allocator();
  };

  // What a round did. `tokens` are new and certain; good until the next call.
  struct Round {
    std::span<const std::int32_t> tokens;
    std::int64_t proposed = 0, evaluated = 0, accepted = 0;
    StopReason stop = StopReason::none;
  };

  static Result<Session> create(std::shared_ptr<const Model> model,
                                const Options& options) noexcept;

  Session() noexcept = default;
  Session(Session&& other) noexcept = default;
  // Member by member, the old cache would go before the sequence that has pages of it.
  Session& operator=(Session&& other) noexcept {
    if (this != &other) {
      this->~Session();
      new (this) Session(std::move(other));
    }
    return *this;
  }
  ~Session() = default;

  // None: plain decoding. Takes effect at the next begin().
  void set_drafter(draft::AnyDrafter drafter) noexcept {
    drafter_ = std::move(drafter);
    drafting_ = false;  // it has not seen the text
  }

  // Forgets the text and evaluates a prompt; returns the first generated token. On error the
  // session is empty and can begin again.
  Result<std::int32_t> begin(std::span<const std::int32_t> prompt,
                             const GenerateOptions& options = {}) noexcept;

  // One pass. At most `limit` new tokens; stops after the first of `end_tokens`. On error nothing
  // of the round has happened.
  Result<Round> round(std::int64_t limit, std::span<const std::int32_t> end_tokens = {}) noexcept;

  // begin() and rounds until something ends it.
  Result<StopReason> generate(std::span<const std::int32_t> prompt,
                              const GenerateOptions& options) noexcept;

  const Stats& stats() const noexcept { return stats_; }
  const Model& model() const noexcept { return forward_.model(); }
  std::int64_t context() const noexcept { return cache_->positions(); }
  // Tokens whose keys and values are committed; the newest token is not among them yet.
  std::int64_t length() const noexcept { return sequence_.length(); }
  const char* drafter_name() const noexcept { return drafter_.name(); }

  // The parts, for tests and for those who drive them directly.
  Forward& forward() noexcept { return forward_; }
  KvCache& cache() noexcept { return *cache_; }
  const Sequence& sequence() const noexcept { return sequence_; }

 private:
  Status prefill(std::span<const std::int32_t> prompt, const GenerateOptions& options) noexcept;

  Options options_;
  std::unique_ptr<KvCache> cache_;  // its address is in the forward's plan
  Forward forward_;
  Sequence sequence_;
  draft::AnyDrafter drafter_;
  bool drafting_ = false;  // drafter_ knows the text since begin()
  Buffer scratch_;         // rows, drafts and new tokens of one pass
  std::span<Row> rows_;
  std::span<std::int32_t> drafts_, tokens_;
  std::int32_t newest_ = -1;
  Stats stats_;
};

}  // namespace kedge::inline KEDGE_ABI
