// Speculative text must be plain text, and undoing a draft must touch nothing. Undone rows and
// states are overwritten with NaN, so a read of one would show; cache and recurrent state are
// compared before and after every commit; and allocations of every round after the first are
// counted.
#include <algorithm>
#include <cstring>

#include "check/check.hpp"
#include "common/count_allocations.hpp"
#include "common/failure.hpp"
#include "kedge/draft/scripted.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tools {

namespace {

// Looks at the state between a pass and its commit (a session tells its stop matcher of the first
// token then) and right after the commit (when it tells its drafter).
struct CommitProbe {
  std::vector<std::span<const std::byte>> watched;
  std::vector<std::byte> before;
  std::uint64_t compared = 0, changed = 0;
  bool armed = false;

  void watch(const void* memory, std::size_t bytes) {
    if (bytes > 0) watched.push_back({static_cast<const std::byte*>(memory), bytes});
    before.resize(before.size() + bytes);
  }
  void watch(Session& session) {
    const KvCache& cache = session.cache();
    watch(cache.pool(), cache.bytes());
    watch(cache.page_table().data, cache.page_table().bytes());
    const RecurrentState* r = session.recurrent();
    // A checkpoint writes a state again where a pass is kept in part.
    if (r == nullptr || r->policy().kind == RecurrentPolicy::Kind::checkpoint) return;
    for (std::int64_t layer = 0; layer < r->shape().layers; ++layer)
      for (const Tensor& t : {r->state(layer), r->records(layer), r->window(layer)})
        watch(t.data, t.bytes());
  }
  StopMatcher as_matcher() noexcept {
    StopMatcher matcher;
    matcher.context = this;
    matcher.push = [](void* self, std::int32_t) noexcept {
      static_cast<CommitProbe*>(self)->remember();
      return false;
    };
    return matcher;
  }
  void compare() noexcept {
    if (!armed) return;
    armed = false;
    const std::byte* old = before.data();
    for (const auto part : watched) {
      count(old, part.data(), part.size());
      old += part.size();
    }
  }

 private:
  void remember() noexcept {
    if (armed) return;  // at the first token the pass is done
    armed = true;
    std::byte* to = before.data();
    for (const auto part : watched) {
      std::memcpy(to, part.data(), part.size());
      to += part.size();
    }
  }
  void count(const std::byte* a, const std::byte* b, std::size_t bytes) noexcept {
    compared += bytes;
    if (std::memcmp(a, b, bytes) == 0) return;
    for (std::size_t i = 0; i < bytes; ++i) changed += a[i] != b[i] ? 1 : 0;
  }
};

// A drafter that passes everything on and lets the probe look.
class ProbedDrafter {
 public:
  ProbedDrafter(draft::AnyDrafter inner, CommitProbe* probe)
      : inner_(std::move(inner)), probe_(probe) {}
  Status begin(std::span<const std::int32_t> tokens) { return inner_.begin(tokens); }
  Status append(std::span<const std::int32_t> tokens) {
    probe_->compare();
    const Status status = inner_.append(tokens);
    if (!status) return unexpected(status.error());
    return {};
  }
  Status propose(const draft::Ask& ask, draft::Draft& draft) { return inner_.propose(ask, draft); }
  void feedback(const draft::Outcome& outcome) { inner_.feedback(outcome); }
  const char* name() const { return inner_.name(); }
  bool truncates() const { return inner_.truncates(); }
  Status truncate(std::int64_t count) { return inner_.truncate(count); }
  std::span<const std::int32_t> taps() const { return inner_.taps(); }
  Status evaluated(std::int64_t position, const Tensor& features) {
    return inner_.evaluated(position, features);
  }

 private:
  draft::AnyDrafter inner_;
  CommitProbe* probe_;
};

// Sets the keys and values of positions [first, last) to NaN.
std::uint64_t poison(KvCache& cache, std::int32_t sequence, std::int64_t first, std::int64_t last) {
  const KvPageLayout& layout = cache.layout();
  const std::int32_t* pages = cache.page_table().row<std::int32_t>(sequence);
  std::uint64_t poisoned = 0;
  for (std::int64_t p = first; p < last; ++p)
    for (std::int64_t layer = 0; layer < layout.layers; ++layer)
      for (std::int64_t head = 0; head < layout.kv_heads; ++head) {
        std::byte* block = cache.head_block(pages[p / 64], layer, head);
        for_slot_bytes(layout, p % 64, [&](std::size_t offset, std::size_t bytes) {
          std::memset(block + offset, 0xFF, bytes);
          poisoned += bytes;
        });
      }
  return poisoned;
}

// Sets the states that no sequence keeps to NaN.
std::uint64_t poison(RecurrentState& state) {
  std::uint64_t poisoned = 0;
  for (std::int64_t layer = 0; layer < state.shape().layers; ++layer)
    for (std::int32_t plane = 0; plane < state.planes(); ++plane) {
      if (state.plane_in_use(plane)) continue;
      const Tensor t = state.state(layer);
      const std::size_t bytes = row_bytes(t.element, t.width());
      std::memset(t.row<std::byte>(plane), 0xFF, bytes);
      poisoned += bytes;
    }
  return poisoned;
}

class Checker {
 public:
  Checker(const ModelFile& file, const CheckOptions& options, Executor* executor,
          std::int64_t prompt, std::int64_t tokens)
      : count_(tokens) {
    Session::Options o;
    o.isa = options.isa;
    o.executor = executor;
    o.context = prompt + tokens;
    o.cache = options.machine.cache_element();
    o.recurrent = options.machine.recurrent();
    o.max_draft = std::max(options.draft.max_draft(), options.pairs);
    const draft::AnyDrafter drafter =
        options.draft.make({prompt + tokens + 1, &file, executor, options.isa});
    o.taps = drafter.taps();
    session_.emplace(must(Session::create(file.model, o)));
    must(session_->set_sampling(options.sampling));
    tokens_.reserve(static_cast<std::size_t>(tokens) + 64);
  }

  std::vector<std::int32_t> plain(const Prompt& prompt) {
    session_->set_drafter({});
    std::vector<std::int32_t> text = {must(session_->begin(prompt.tokens))};
    while (static_cast<std::int64_t>(text.size()) < count_) {
      const auto round = must(session_->round(count_ - static_cast<std::int64_t>(text.size())));
      text.insert(text.end(), round.tokens.begin(), round.tokens.end());
    }
    return text;
  }

  // True when the text is `expected`. Everything else goes into the report.
  bool speculative(const Prompt& prompt, draft::AnyDrafter drafter,
                   const std::vector<std::int32_t>& expected, SpeculationReport& report) {
    CommitProbe probe;
    probe.watch(*session_);
    const std::string name = drafter.name();
    session_->set_drafter(must(draft::AnyDrafter::make(ProbedDrafter(std::move(drafter), &probe))));
    tokens_.clear();
    tokens_.push_back(must(session_->begin(prompt.tokens)));
    probe.armed = false;
    for (bool first = true; static_cast<std::int64_t>(tokens_.size()) < count_; first = false) {
      const std::int64_t before = allocation_count();
      const std::int64_t length = session_->length();
      auto result = session_->round(RoundOptions{
          count_ - static_cast<std::int64_t>(tokens_.size()), {}, probe.as_matcher(), nullptr});
      const std::int64_t allocations = allocation_count() - before;
      const Session::Round round = must(std::move(result));
      if (!first && can_count_allocations()) {
        ++report.counted_rounds;
        report.allocations += allocations;
      }
      report.poisoned_bytes += poison(session_->cache(), session_->sequence().index(),
                                      session_->length(), length + 1 + round.proposed);
      if (RecurrentState* state = session_->recurrent()) report.poisoned_bytes += poison(*state);
      tokens_.insert(tokens_.end(), round.tokens.begin(), round.tokens.end());
    }
    ++report.runs;
    report.accepted += session_->stats().accepted;
    report.undone += session_->stats().rejected_rows;
    report.state_bytes_changed += probe.changed;
    report.state_bytes_compared += probe.compared;
    if (tokens_ == expected) return true;
    const auto at = static_cast<std::size_t>(
        std::mismatch(tokens_.begin(), tokens_.end(), expected.begin()).first - tokens_.begin());
    if (report.first_difference.empty())
      report.first_difference = fmt::format(
          "prompt \"{}\", drafter {}: generated token {} is {}, plain decoding gives {}",
          prompt.name, name, at, tokens_[at], expected[at]);
    return false;
  }

 private:
  std::int64_t count_;
  std::optional<Session> session_;
  std::vector<std::int32_t> tokens_;
};

// Every pair (proposed, accepted) up to `most` once, long and short drafts mixed.
std::vector<draft::Scripted::Step> all_pairs(std::int64_t most) {
  std::vector<draft::Scripted::Step> steps;
  for (std::int64_t proposed = most; proposed >= 0; --proposed)
    for (std::int64_t correct = 0; correct <= proposed; ++correct)
      steps.push_back({proposed, correct});
  for (std::size_t i = 0; i < steps.size(); ++i) std::swap(steps[i], steps[i * 37 % steps.size()]);
  return steps;
}

}  // namespace

SpeculationReport check_speculation(const ModelFile& file, const std::vector<Prompt>& prompts,
                                    const CheckOptions& options) {
  const std::unique_ptr<Executor> executor = options.machine.executor();
  const auto vocabulary = static_cast<std::int32_t>(file.model->config().vocabulary);
  SpeculationReport report;
  Progress progress("speculation");
  const auto shortest = std::min_element(
      prompts.begin(), prompts.end(),
      [](const Prompt& a, const Prompt& b) { return a.tokens.size() < b.tokens.size(); });
  const auto forced = static_cast<std::size_t>(shortest - prompts.begin());
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    const Prompt& prompt = prompts[p];
    progress.show(static_cast<double>(p) / static_cast<double>(prompts.size()), prompt.name);
    // On the shortest prompt every pair is forced, in as many runs as the model's context asks for;
    // elsewhere the pairs that the text has room for.
    const std::vector<draft::Scripted::Step> pairs = all_pairs(options.pairs);
    const auto length = static_cast<std::int64_t>(prompt.tokens.size());
    const std::int64_t room = file.model->config().context - length;
    std::int64_t tokens = options.tokens;
    if (p == forced) {
      std::int64_t needed = 2 + options.pairs;
      for (const draft::Scripted::Step& step : pairs) needed += 1 + step.correct;
      tokens = std::max(tokens, needed);
    }
    tokens = std::min(tokens, room);
    Checker checker(file, options, executor.get(), length, tokens);
    const std::vector<std::int32_t> plain = checker.plain(prompt);
    bool equal = true;
    if (options.draft.drafts)
      equal &= checker.speculative(
          prompt, options.draft.make({length + tokens + 1, &file, executor.get(), options.isa}),
          plain, report);
    for (std::size_t next = 0; next < pairs.size();) {
      std::vector<draft::Scripted::Step> steps;
      // A draft is cut where the text ends, so a pair must fit as a whole to count.
      for (std::int64_t made = 1; next < pairs.size(); ++next) {
        const draft::Scripted::Step step = pairs[next];
        if (made + 1 + step.proposed > tokens) break;
        steps.push_back(step);
        made += 1 + step.correct;
      }
      if (steps.empty())
        fail_with(Code::invalid_argument, "check",
                  "prompt \"{}\": {} tokens have no room for drafts of {}; lower --pairs",
                  prompt.name, tokens, pairs[next].proposed);
      if (p == forced) report.pairs += static_cast<std::int64_t>(steps.size());
      equal &= checker.speculative(
          prompt, must(draft::AnyDrafter::make(draft::Scripted(plain, steps, vocabulary))), plain,
          report);
      if (p != forced) break;
    }
    ++report.texts;
    report.equal += equal ? 1 : 0;
  }
  return report;
}

}  // namespace kedge::tools
