// Sampler: the token that SamplingOptions draw from one row of logits: a pure function of logits,
// text, seed and position. Nothing is remembered from token to token, so undoing a draft, going
// back or forking needs nothing from it, and the rows of a speculative pass are drawn as plain
// decoding would draw them.
#pragma once

#include <cstdint>
#include <span>

#include "kedge/core/buffer.hpp"
#include "kedge/kernel/cpu/phase.hpp"
#include "kedge/sample/distribution.hpp"
#include "kedge/sample/options.hpp"

namespace kedge::inline KEDGE_ABI {

class KEDGE_API Sampler {
 public:
  // One draw. The text before the token is `text` and then `drafts`.
  struct Draw {
    std::span<const float> logits;  // [vocabulary]; NaNs are never drawn
    std::int32_t largest = -1;      // the token of the largest logit (lowest id) when known
    std::int64_t position = 0;      // of the drawn token in its text
    std::span<const std::int32_t> text, drafts;
    // Bit t of word t / 32: token t is allowed. Empty: all are.
    std::span<const std::uint32_t> allowed;
    // The largest logits, descending, lower ids first among equals, when known: with at least
    // top_k of them logits are not read.
    std::span<const std::int32_t> top_ids;
    std::span<const float> top_logits;
  };

  // `isa`: a chosen one, as Cpu::isa() says; it changes no token.
  static Result<Sampler> create(cpu::Isa isa, std::int64_t vocabulary,
                                const SamplingOptions& options,
                                const Allocator& allocator = default_allocator()) noexcept;
  Sampler() noexcept = default;

  // Options with the bias that this object keeps.
  const SamplingOptions& options() const noexcept { return options_; }
  // True: only the largest logit matters, and logits as such are not read.
  bool plain_greedy() const noexcept { return options_.temperature == 0 && !adjusts_; }
  // Above 0: draws without a constraint need only so many largest logits.
  std::int32_t needs_top() const noexcept {
    return options_.temperature > 0 && !adjusts_ ? options_.top_k : 0;
  }

  // Allocates nothing. Code::invalid_argument when no token may be drawn.
  Result<std::int32_t> choose(const Draw& draw) noexcept;

  // Room for any distribution() of this sampler: 1 at temperature 0, top_k, or the vocabulary.
  std::int64_t most_tokens() const noexcept;
  // What choose() draws from: every token that it may draw and its probability, which add up to 1;
  // of the same bytes on every ISA. Written into the caller's memory, of at least most_tokens()
  // entries each. Allocates nothing. Code::invalid_argument when no token may be drawn.
  Result<Distribution> distribution(const Draw& draw, std::span<std::int32_t> tokens,
                                    std::span<float> probabilities) noexcept;

 private:
  struct Row {
    std::span<const float> logits;  // adjusted; empty when only the top ones are known
    float largest = 0;
    std::int32_t best = -1;  // its token
  };
  Result<Row> row_of(const Draw& draw) noexcept;
  void adjust(const Draw& draw) noexcept;
  std::int64_t collect(const Row& row, const Draw& draw) noexcept;
  std::int64_t keep_largest(const Row& row) noexcept;
  std::int64_t keep_above(const Row& row, double distance) noexcept;
  std::int64_t keep_mass(const Row& row, std::int64_t count, double sum) noexcept;

  cpu::Isa isa_ = cpu::Isa::scalar;
  SamplingOptions options_;
  bool adjusts_ = false;  // penalties or a bias
  std::int64_t vocabulary_ = 0;
  Buffer bias_, adjusted_, counts_, candidates_;
};

}  // namespace kedge::inline KEDGE_ABI
