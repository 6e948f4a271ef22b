#include "kedge/spec/session.hpp"

#include <algorithm>
#include <chrono>
#include <new>

#include "kedge/verify/greedy.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

class Timer {
 public:
  double lap_ms() noexcept {
    const auto now = std::chrono::steady_clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
    return ms;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

bool is_end(std::span<const std::int32_t> end_tokens, std::int32_t token) noexcept {
  return std::find(end_tokens.begin(), end_tokens.end(), token) != end_tokens.end();
}

bool cancelled(const GenerateOptions& options) noexcept {
  return options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed);
}

}  // namespace

Result<Session> Session::create(std::shared_ptr<const Model> model,
                                const Options& options) noexcept {
  constexpr const char* place = "session";
  const ModelConfig& config = model->config();
  Session session;
  session.options_ = options;
  if (options.context < 0 || options.context > config.context)
    return fail(Code::invalid_argument, place,
                "context: the model was trained for %lld, found %lld",
                static_cast<long long>(config.context), static_cast<long long>(options.context));
  if (options.max_draft < 0 || options.max_draft > 31)
    return fail(Code::invalid_argument, place, "max_draft: expected 0..31, found %lld",
                static_cast<long long>(options.max_draft));
  if (options.prefill_rows < 1 || options.prefill_rows > 4096)
    return fail(Code::invalid_argument, place, "prefill_rows: expected 1..4096, found %lld",
                static_cast<long long>(options.prefill_rows));
  KEDGE_TRY(const Cpu cpu, Cpu::create({options.isa, options.executor}));

  SessionShape shape;
  shape.context = options.context;
  shape.cache = options.cache;
  shape.max_rows = std::max(options.prefill_rows, options.max_draft + 1);
  shape.max_outputs = options.max_draft + 1;
  KEDGE_CHECK(model->check_budget(shape, options.memory_budget));

  KvCache::Options kv;
  kv.element = options.cache;
  kv.positions = options.context > 0 ? options.context : std::min(config.context, default_context);
  kv.allocator = options.allocator;
  KEDGE_TRY(KvCache cache, KvCache::create(config.layers, config.kv_heads, config.head_dim, kv));
  session.cache_.reset(new (std::nothrow) KvCache(std::move(cache)));
  if (session.cache_ == nullptr) return fail(Code::out_of_memory, place, "no memory");

  Forward::Options forward;
  forward.max_rows = shape.max_rows;
  forward.max_outputs = shape.max_outputs;
  forward.allocator = options.allocator;
  KEDGE_TRY(session.forward_, Forward::create(std::move(model), cpu, *session.cache_, forward));
  KEDGE_TRY(session.sequence_, Sequence::create(*session.cache_));

  const auto rows = static_cast<std::size_t>(forward.max_rows);
  const auto draft = static_cast<std::size_t>(options.max_draft);
  const std::size_t words = rows * (sizeof(Row) / 4) + draft + (draft + 1);
  KEDGE_TRY(session.scratch_, Buffer::create(words * 4, place, options.allocator));
  auto* memory = session.scratch_.as<std::int32_t>();
  session.drafts_ = {memory, draft};
  session.tokens_ = {memory + draft, draft + 1};
  session.rows_ = {new (memory + 2 * draft + 1) Row[rows], rows};
  return session;
}

Status Session::prefill(std::span<const std::int32_t> prompt,
                        const GenerateOptions& options) noexcept {
  const auto step = static_cast<std::size_t>(options_.prefill_rows);
  for (std::size_t first = 0; first < prompt.size(); first += step) {
    if (cancelled(options))
      return fail(Code::cancelled, "session", "stopped after %zu of %zu prompt tokens", first,
                  prompt.size());
    const std::size_t count = std::min(step, prompt.size() - first);
    KEDGE_TRY(Transaction transaction, sequence_.begin(static_cast<std::int64_t>(count)));
    for (std::size_t i = 0; i < count; ++i)
      rows_[i] = {prompt[first + i], static_cast<std::int32_t>(first + i), sequence_.index(),
                  first + i + 1 == prompt.size()};
    KEDGE_CHECK(forward_.run(rows_.first(count)));
    KEDGE_CHECK(transaction.commit(static_cast<std::int64_t>(count)));
  }
  return {};
}

Result<std::int32_t> Session::begin(std::span<const std::int32_t> prompt,
                                    const GenerateOptions& options) noexcept {
  if (prompt.empty()) return fail(Code::invalid_argument, "session", "the prompt has no tokens");
  Timer timer;
  stats_ = {};
  newest_ = -1;
  const auto restart = [this]() -> Status {
    sequence_ = Sequence();
    KEDGE_TRY(sequence_, Sequence::create(*cache_));
    return {};
  };
  KEDGE_CHECK(restart());
  Status done = prefill(prompt, options);
  drafting_ = false;
  if (done && drafter_) {
    done = drafter_.begin(prompt);
    const std::int32_t first = forward_.choice(0);
    if (done) done = drafter_.append({&first, 1});
  }
  if (!done) {
    KEDGE_CHECK(restart());
    return unexpected(done.error());
  }
  drafting_ = static_cast<bool>(drafter_);
  newest_ = forward_.choice(0);
  stats_.prompt_tokens = static_cast<std::int64_t>(prompt.size());
  stats_.tokens = 1;
  stats_.prefill_ms = timer.lap_ms();
  return newest_;
}

Result<Session::Round> Session::round(std::int64_t limit,
                                      std::span<const std::int32_t> end_tokens) noexcept {
  if (newest_ < 0) return fail(Code::invalid_argument, "session", "round before begin");
  const std::int64_t room = cache_->positions() - sequence_.length();
  Round result;
  if (room < 1 || limit < 1) {
    result.stop = room < 1 ? StopReason::context_full : StopReason::token_limit;
    return result;
  }
  Timer timer;
  double draft_ms = 0, target_ms = 0, verify_ms = 0, commit_ms = 0;

  // 1. Draft. The pass yields one token more than the drafts that hold.
  std::int64_t count = 0;
  const std::int64_t most = std::min({options_.max_draft, limit - 1, room - 1});
  if (drafting_ && most > 0) {
    KEDGE_TRY(const draft::Proposal proposal,
              drafter_.propose(drafts_.first(static_cast<std::size_t>(most))));
    count = proposal.count;
    if (count < 0 || count > most)
      return fail(Code::invalid_argument, drafter_.name(),
                  "proposal: expected 0..%lld tokens, found %lld", static_cast<long long>(most),
                  static_cast<long long>(count));
  }
  const auto drafts = drafts_.first(static_cast<std::size_t>(count));
  draft_ms = timer.lap_ms();

  // 2. One pass over the newest token and the drafts.
  KEDGE_TRY(Transaction transaction, sequence_.begin(1 + count));
  const auto first = static_cast<std::int32_t>(transaction.first_position());
  for (std::int64_t i = 0; i <= count; ++i)
    rows_[static_cast<std::size_t>(i)] = {
        i == 0 ? newest_ : drafts[static_cast<std::size_t>(i - 1)],
        first + static_cast<std::int32_t>(i), sequence_.index(), true};
  KEDGE_CHECK(forward_.run(rows_.first(static_cast<std::size_t>(count + 1))));
  target_ms = timer.lap_ms();

  // 3. Verify: the drafts that the target chose too, then its own token; cut after an end token.
  const verify::Accepted accepted = verify::greedy(drafts, forward_.choices(count + 1));
  std::int64_t fresh = 0;
  for (; fresh <= accepted.count; ++fresh) {
    const auto i = static_cast<std::size_t>(fresh);
    tokens_[i] = fresh < accepted.count ? drafts[i] : accepted.next;
    if (is_end(end_tokens, tokens_[i])) {
      ++fresh;
      result.stop = StopReason::end_token;
      break;
    }
  }
  const auto tokens = tokens_.first(static_cast<std::size_t>(fresh));
  verify_ms = timer.lap_ms();

  // 4. Commit what plain decoding would have evaluated: everything before the newest token.
  if (drafting_) KEDGE_CHECK(drafter_.append(tokens));
  KEDGE_CHECK(transaction.commit(fresh));
  newest_ = tokens.back();
  result.tokens = tokens;
  result.proposed = count;
  result.evaluated = accepted.evaluated;
  result.accepted = std::min(accepted.count, fresh);
  if (drafting_) drafter_.feedback(result.evaluated, result.accepted);
  commit_ms = timer.lap_ms();

  ++stats_.rounds;
  stats_.tokens += fresh;
  stats_.proposed += result.proposed;
  stats_.evaluated += result.evaluated;
  stats_.accepted += result.accepted;
  stats_.rejected_rows += 1 + count - fresh;
  for (std::int64_t i = 0; i < count; ++i) ++stats_.reached[static_cast<std::size_t>(i)];
  for (std::int64_t i = 0; i < result.accepted; ++i) ++stats_.held[static_cast<std::size_t>(i)];
  ++stats_.width[static_cast<std::size_t>(count + 1)];
  stats_.draft_ms += draft_ms;
  stats_.target_ms += target_ms;
  stats_.verify_ms += verify_ms;
  stats_.commit_ms += commit_ms;
  return result;
}

Result<StopReason> Session::generate(std::span<const std::int32_t> prompt,
                                     const GenerateOptions& options) noexcept {
  const auto emit = [&](const TokenEvent& event) {
    return options.on_token == nullptr || options.on_token(options.context, event);
  };
  KEDGE_TRY(const std::int32_t first, begin(prompt, options));
  auto position = static_cast<std::int64_t>(prompt.size());
  if (!emit({first, position++, 0, false})) return StopReason::cancelled;
  if (is_end(options.end_tokens, first)) return StopReason::end_token;
  while (stats_.tokens < options.max_tokens) {
    if (cancelled(options)) return StopReason::cancelled;
    KEDGE_TRY(const Round r, round(options.max_tokens - stats_.tokens, options.end_tokens));
    if (r.tokens.empty()) return r.stop;
    Timer timer;
    for (std::size_t i = 0; i < r.tokens.size(); ++i)
      if (!emit(
              {r.tokens[i], position++, stats_.rounds, static_cast<std::int64_t>(i) < r.accepted}))
        return StopReason::cancelled;
    stats_.emit_ms += timer.lap_ms();
    if (r.stop != StopReason::none) return r.stop;
  }
  return StopReason::token_limit;
}

}  // namespace kedge::inline KEDGE_ABI
