// Making a session, and what it is told before it generates.
#include "kedge/spec/session.hpp"

#include <algorithm>
#include <new>

#include "spec/open_round.hpp"
#include "spec/timer.hpp"
#include "spec/walk.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {
constexpr const char* place = "session";
}  // namespace

Result<Session> Session::create(std::shared_ptr<const Model> model, const Options& options) noexcept
    try {
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
  if (options.together < 1 || options.together > options.sequences)
    return fail(Code::invalid_argument, place, "together: expected 1..%lld sequences, found %lld",
                static_cast<long long>(options.sequences),
                static_cast<long long>(options.together));
  KEDGE_TRY(const Cpu cpu, Cpu::create({options.isa, options.executor}));
  session.options_.isa = cpu.isa();
  session.options_.taps = {};  // the forward has a copy

  SessionShape shape;
  shape.context = options.context;
  shape.cache = options.cache;
  const std::int64_t rows = options.together * (options.max_draft + 1);
  shape.max_rows = std::max(options.prefill_rows, rows);
  shape.max_outputs = rows;
  shape.max_top = most_top;
  shape.sequences = options.sequences;
  shape.pages = options.pages;
  shape.recurrent = options.recurrent;
  shape.max_draft = options.max_draft;
  shape.taps = options.taps;
  KEDGE_CHECK(model->check_budget(shape, options.memory_budget));

  session.engine_ = std::make_shared<Engine>();
  Engine& engine = *session.engine_;
  KvCache::Options kv;
  kv.element = options.cache;
  kv.positions = options.context > 0 ? options.context : std::min(config.context, default_context);
  kv.sequences = options.sequences;
  kv.pages = options.pages;
  kv.allocator = options.allocator;
  engine.accelerator = model->accelerator();
  if (engine.accelerator) {
    KEDGE_TRY(const MemoryEstimate needed, model->estimate(shape));
    KEDGE_CHECK(engine.accelerator->expect_room(needed.session(), place));
    // Kernels see a layer's keys and values as one binding.
    const KvPageLayout layer{kv.element, config.kv_heads, config.head_dim, 1};
    const std::int64_t pages =
        kv.pages > 0 ? kv.pages
                     : kv.sequences * ((kv.positions + page_positions - 1) / page_positions);
    const std::uint64_t most = engine.accelerator->max_tensor();
    if (config.attention_layers() > 0 && layer.pool_bytes(pages) > most)
      return fail(
          Code::unsupported, place,
          "context: %lld positions are %zu bytes of keys and values in each layer, of which "
          "%s binds %llu at once: at most %llu positions of all sequences together",
          static_cast<long long>(pages * page_positions), layer.pool_bytes(pages),
          engine.accelerator->name(), static_cast<unsigned long long>(most),
          static_cast<unsigned long long>(most / layer.page_bytes() * page_positions));
  }
  kv.storage = model->state_storage();
  KEDGE_TRY(engine.cache,
            KvCache::create(config.attention_layers(), config.kv_heads, config.head_dim, kv));

  if (!config.recurrent.empty()) {
    RecurrentState::Options state;
    KEDGE_TRY(state.policy,
              recurrent_policy(config.recurrent, options.max_draft, options.recurrent));
    state.sequences = options.sequences;
    state.landmarks = options.recurrent.landmarks;
    state.allocator = options.allocator;
    state.storage = kv.storage;
    KEDGE_TRY(engine.recurrent, RecurrentState::create(config.recurrent, state));
  }

  Forward::Options forward;
  forward.max_rows = shape.max_rows;
  forward.max_outputs = shape.max_outputs;
  forward.max_top = most_top;
  forward.taps = options.taps;
  forward.allocator = options.allocator;
  const std::int64_t vocabulary = config.vocabulary;
  KEDGE_TRY(engine.rows,
            Buffer::create(static_cast<std::size_t>(rows) * sizeof(Row), place, options.allocator));
  KEDGE_TRY(engine.rounds,
            Buffer::create(static_cast<std::size_t>(options.together) * sizeof(OpenRound), place,
                           options.allocator));
  KEDGE_TRY(engine.forward, Forward::create(std::move(model), cpu, engine.cache, forward,
                                            engine.recurrent.or_null()));
  KEDGE_TRY(session.sequence_, Sequence::create(engine.cache, engine.recurrent.or_null()));
  KEDGE_TRY(session.sampler_, Sampler::create(cpu.isa(), vocabulary, {}, options.allocator));
  KEDGE_CHECK(session.allocate());
  return session;
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, place, "no memory");
}

Status Session::allocate() noexcept {
  const auto text = static_cast<std::size_t>(engine_->cache.positions() + 1);
  KEDGE_TRY(text_, Buffer::create(text * sizeof(std::int32_t), "text", options_.allocator));
  const auto rows = static_cast<std::size_t>(engine_->forward.max_rows());
  const auto fresh = static_cast<std::size_t>(options_.max_draft) + 1;
  const auto words = static_cast<std::size_t>(model().config().vocabulary + 31) / 32;
  const std::size_t best = fresh * static_cast<std::size_t>(max_alternatives);
  const std::size_t bytes = fresh * sizeof(ConstraintState) + rows * sizeof(Row) +
                            best * sizeof(Alternative) + 4 * (4 * fresh + words);
  KEDGE_TRY(draft_, draft::Draft::create({options_.max_draft, 0, options_.allocator}));
  KEDGE_TRY(scratch_, Buffer::create(bytes, place, options_.allocator));
  std::byte* memory = scratch_.data();
  const auto take = [&memory]<class T>(std::span<T>& span, std::size_t count) {
    span = {new (memory) T[count], count};
    memory += count * sizeof(T);
  };
  take(guess_states_, fresh);
  take(rows_, rows);
  take(best_, best);
  take(tokens_, fresh);
  take(path_, fresh);
  take(branch_, fresh);
  take(allowed_, words);
  take(logprobs_, fresh);
  return {};
}

Status Session::set_sampling(const SamplingOptions& options) noexcept {
  KEDGE_TRY(sampler_, Sampler::create(options_.isa, model().config().vocabulary, options,
                                      options_.allocator));
  return {};
}

void Session::set_constraint(Constraint constraint) noexcept {
  constraint_ = std::move(constraint);
  constrained_ = size_;
  replay_constraint();
}

// Brings state_ to where the text stands. A token that the rules do not allow was an end token,
// which does not advance them.
void Session::replay_constraint() noexcept {
  constrained_ = std::min(constrained_, size_);
  if (!constraint_) return;
  state_ = constraint_.start();
  for (std::int64_t i = constrained_; i < size_; ++i) {
    const std::int32_t token = text()[static_cast<std::size_t>(i)];
    if (constraint_.allows(state_, token)) state_ = constraint_.advance(state_, token);
  }
}

Status Session::report_logprobs(std::int32_t alternatives) noexcept {
  const auto most =
      std::min<std::int64_t>(max_alternatives, engine_->forward.model().config().vocabulary);
  if (alternatives < -1 || alternatives > most)
    return fail(Code::invalid_argument, place, "alternatives: expected -1..%lld, found %d",
                static_cast<long long>(most), alternatives);
  alternatives_ = alternatives;
  return {};
}

Need Session::need() const noexcept {
  Need least = Need::argmax;
  if (constraint_ || alternatives_ >= 0) least = Need::logits;
  else if (sampler_.plain_greedy()) least = Need::argmax;
  else if (const std::int32_t top = sampler_.needs_top();
           top > 0 && top <= engine_->forward.max_top())
    least = Need::top_k;
  else least = Need::logits;
  return std::max(least, least_need_);
}

// Evaluates and commits `count` tokens of the text; the last row needs `last`.
Status Session::pass(std::int64_t first, std::int64_t count, std::int64_t keep, Need last,
                     const std::atomic<bool>* cancel) noexcept {
  KEDGE_TRY(Transaction transaction, sequence_.begin(count, keep));
  for (std::int64_t i = 0; i < count; ++i)
    rows_[static_cast<std::size_t>(i)] = {text()[static_cast<std::size_t>(first + i)],
                                          static_cast<std::int32_t>(first + i), sequence_.index(),
                                          i + 1 == count ? last : Need::none};
  KEDGE_CHECK(engine_->forward.evaluate(rows_.first(static_cast<std::size_t>(count)),
                                        {sampler_.needs_top(), cancel}));
  KEDGE_CHECK(transaction.commit(count));
  KEDGE_CHECK(show_drafter(first, 0, count));
  stats_.rerun_rows += std::clamp<std::int64_t>(seen_ - first, 0, count);
  return {};
}

// Evaluates what the text has beyond the sequence. Of recurrent layers the states at the ends of
// passes are kept as landmarks, and at the end of the text the one before the last token, because
// that is where a rewind to this end will stand.
Status Session::prefill(const GenerateOptions& options) noexcept {
  const std::int64_t start = sequence_.length();
  while (sequence_.length() < size_) {
    const std::int64_t first = sequence_.length();
    const std::int64_t count = std::min(options_.prefill_rows, size_ - first);
    const auto stopped = [&] {
      return fail(Code::cancelled, place, "stopped after %lld of %lld prompt tokens",
                  static_cast<long long>(sequence_.length() - start),
                  static_cast<long long>(size_ - start));
    };
    if (spec::cancelled(options.cancel)) return stopped();
    const bool end = first + count == size_;
    if (const Status done =
            pass(first, count, end ? 2 : 1, end ? need() : Need::none, options.cancel);
        !done) {
      if (done.error().code == Code::cancelled) return stopped();
      return unexpected(done.error());
    }
    if (!end || !sequence_.mark(size_ - 1)) sequence_.mark(first + count);
    const bool go_on = options.progress.report == nullptr ||
                       options.progress.report(options.progress.context, "evaluating the prompt",
                                               static_cast<double>(first + count - start) /
                                                   static_cast<double>(size_ - start));
    if (!go_on && sequence_.length() < size_) return stopped();
  }
  return {};
}

// Evaluates again what a rewind had to forget, up to the newest token.
Status Session::catch_up(const std::atomic<bool>* cancel) noexcept {
  while (sequence_.length() + 1 < size_) {
    const std::int64_t first = sequence_.length();
    KEDGE_CHECK(
        pass(first, std::min(options_.prefill_rows, size_ - 1 - first), 1, Need::none, cancel));
    sequence_.mark(sequence_.length());
  }
  return {};
}

Result<std::int32_t> Session::append(std::span<const std::int32_t> tokens,
                                     const GenerateOptions& options) noexcept {
  if (tokens.empty()) return fail(Code::invalid_argument, place, "the prompt has no tokens");
  spec::Timer timer;
  const std::int64_t old_size = size_, old_length = sequence_.length();
  const std::int64_t old_constrained = constrained_;
  const std::int64_t size = size_ + static_cast<std::int64_t>(tokens.size());
  if (size > context())
    return fail(Code::out_of_memory, place,
                "a text of %lld tokens is beyond the %lld positions that it may have; create the "
                "session with a larger context",
                static_cast<long long>(size), static_cast<long long>(context()));
  std::copy(tokens.begin(), tokens.end(), text_.as<std::int32_t>() + size_);
  size_ = size;
  if (old_size == 0) prompt_ = size;
  const auto undo = [&](const Error& error) {
    size_ = old_size;
    if (error.code == Code::cancelled) size_ = std::max(old_size, sequence_.length());
    cut_drafter();
    if (error.code != Code::cancelled)
      if (const auto went = sequence_.rewind(std::min(old_length, sequence_.length())); !went)
        return went.error();
    seen_ = std::max(seen_, old_length);
    constrained_ = old_constrained;
    replay_constraint();
    return error;
  };
  if (const Status told = tell_drafter(); !told) return unexpected(undo(told.error()));
  if (const Status done = prefill(options); !done) return unexpected(undo(done.error()));
  constrained_ = size_;
  replay_constraint();
  // The matcher is told at the end, when nothing can fail any more.
  Walk walk{options.end_tokens, {}, state_, {}, {}};
  const verify::Chosen chosen = choose(walk, 0, 0);
  if (chosen.failed) return unexpected(undo(walk.error));
  text_.as<std::int32_t>()[size_++] = chosen.token;
  if (const Status told = tell_drafter(); !told) return unexpected(undo(told.error()));
  state_ = walk.state;
  ended_ = walk.reason;
  if (options.stop.push != nullptr && options.stop.push(options.stop.context, chosen.token) &&
      ended_ == StopReason::none)
    ended_ = StopReason::stop_text;
  stats_.prompt_tokens += static_cast<std::int64_t>(tokens.size());
  ++stats_.prefills;
  ++stats_.tokens;
  stats_.prefill_ms += timer.lap_ms();
  return chosen.token;
}

Result<std::int32_t> Session::begin(std::span<const std::int32_t> prompt,
                                    const GenerateOptions& options) noexcept {
  KEDGE_CHECK(rewind(0));
  stats_ = {};
  window_.begin();
  return append(prompt, options);
}

Result<std::int32_t> Session::extend(std::span<const std::int32_t> tokens,
                                     const GenerateOptions& options) noexcept {
  return append(tokens, options);
}

}  // namespace kedge::inline KEDGE_ABI
