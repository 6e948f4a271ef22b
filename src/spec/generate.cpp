// Loops over rounds that tell their caller every token.
#include "kedge/spec/session.hpp"
#include "spec/timer.hpp"
#include "spec/walk.hpp"

namespace kedge::inline KEDGE_ABI {

// Of the index-th token of the last pass.
TokenEvent Session::event(const GenerateOptions& options, std::int64_t position, std::int64_t index,
                          std::int32_t token) const noexcept {
  TokenEvent event;
  event.id = token;
  event.position = position;
  if (options.token_bytes.bytes != nullptr)
    event.bytes = options.token_bytes.bytes(options.token_bytes.context, token);
  if (alternatives_ >= 0) {
    event.logprob = logprobs_[static_cast<std::size_t>(index)];
    event.alternatives = best_.subspan(static_cast<std::size_t>(index * max_alternatives),
                                       static_cast<std::size_t>(alternatives_));
  }
  return event;
}

Result<StopReason> Session::generate(std::span<const std::int32_t> prompt,
                                     const GenerateOptions& options) noexcept {
  return run(begin(prompt, options), options);
}

Result<StopReason> Session::resume(std::span<const std::int32_t> tokens,
                                   const GenerateOptions& options) noexcept {
  return tokens.empty() ? rounds(0, options) : run(extend(tokens, options), options);
}

Result<StopReason> Session::run(const Result<std::int32_t>& first,
                                const GenerateOptions& options) noexcept {
  if (!first) return unexpected(first.error());
  if (options.on_token != nullptr &&
      !options.on_token(options.context, event(options, size_ - 1, 0, *first)))
    return StopReason::cancelled;
  if (ended_ != StopReason::none) return ended_;
  return rounds(1, options);
}

Result<StopReason> Session::rounds(std::int64_t made, const GenerateOptions& options) noexcept {
  while (made < options.max_tokens) {
    if (spec::cancelled(options.cancel)) return StopReason::cancelled;
    std::int64_t position = size_;
    const Result<Round> r = round(
        RoundOptions{options.max_tokens - made, options.end_tokens, options.stop, options.cancel});
    if (!r) {
      if (r.error().code == Code::cancelled) return StopReason::cancelled;
      return unexpected(r.error());
    }
    if (r->tokens.empty()) return r->stop;
    made += static_cast<std::int64_t>(r->tokens.size());
    spec::Timer timer;
    for (std::size_t i = 0; i < r->tokens.size() && options.on_token != nullptr; ++i) {
      TokenEvent e = event(options, position++, static_cast<std::int64_t>(i), r->tokens[i]);
      e.round = stats_.rounds;
      e.drafted = static_cast<std::int64_t>(i) < r->accepted;
      if (!options.on_token(options.context, e)) return StopReason::cancelled;
    }
    stats_.emit_ms += timer.lap_ms();
    if (r->stop != StopReason::none) return r->stop;
  }
  return StopReason::token_limit;
}

}  // namespace kedge::inline KEDGE_ABI
