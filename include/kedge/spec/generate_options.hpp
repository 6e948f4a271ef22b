// What a caller says about one generation, and what it is told.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "kedge/model/model.hpp"
#include "kedge/sample/softmax.hpp"
#include "kedge/spec/stop_matcher.hpp"

namespace kedge::inline KEDGE_ABI {

enum class StopReason : std::uint8_t {
  none,
  end_token,
  token_limit,
  context_full,
  cancelled,
  stop_text,
};

constexpr const char* to_string(StopReason reason) noexcept {
  constexpr const char* names[] = {"none",         "end token", "token limit",
                                   "context full", "cancelled", "stop text"};
  return names[static_cast<unsigned>(reason)];
}

struct TokenEvent {
  std::int32_t id = 0;
  std::int64_t position = 0;  // in the text, the prompt's first token being 0
  std::int64_t round = 0;     // 0: from the prompt's pass
  bool drafted = false;       // a draft that held, not the target's correction or bonus
  std::string_view bytes;     // of GenerateOptions::token_bytes
  // Under the model's own logits, before penalties, temperature and everything else. NaN and empty
  // unless the session reports them (Session::report_logprobs).
  float logprob = std::numeric_limits<float>::quiet_NaN();
  std::span<const Alternative> alternatives;
};

// The bytes that a token stands for; the view must be good until the next call.
struct TokenBytes {
  void* context = nullptr;
  std::string_view (*bytes)(void* context, std::int32_t token) noexcept = nullptr;
};

struct RoundOptions {
  std::int64_t limit = std::numeric_limits<std::int64_t>::max();  // new tokens
  std::span<const std::int32_t> end_tokens = {};
  // Told every token as soon as it is certain. Nothing fails behind that, so mark and undo are not
  // called (but for recurrent layers that may have to evaluate accepted rows again, when they stand
  // around it). What lies behind a stop is undone, also inside a block of accepted drafts.
  StopMatcher stop = {};
  // Looked at while a pass runs: Code::cancelled within milliseconds, and the round never was.
  const std::atomic<bool>* cancel = nullptr;
};

struct GenerateOptions {
  std::int64_t max_tokens = 128;
  std::span<const std::int32_t> end_tokens = {};  // generation stops after one of these
  StopMatcher stop = {};
  // Called for every token as soon as it is certain; return false to stop.
  bool (*on_token)(void* context, const TokenEvent& event) noexcept = nullptr;
  void* context = nullptr;
  TokenBytes token_bytes = {};
  // Told after every pass over the prompt; may stop it as `cancel` does.
  Progress progress = {};
  // Looked at while a pass runs; what is committed stays.
  const std::atomic<bool>* cancel = nullptr;
};

}  // namespace kedge::inline KEDGE_ABI
