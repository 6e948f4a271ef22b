#include "kedge/draft/mtp.hpp"

#include <algorithm>
#include <cstring>

#include "draft/feature_text.hpp"
#include "draft/guess.hpp"
#include "draft/mtp_graph.hpp"
#include "kedge/graph/plan.hpp"
#include "kedge/op/attention.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {
long long number(std::int64_t n) { return static_cast<long long>(n); }
constexpr std::int32_t normed = -1;  // what stands behind the final norm
}  // namespace

struct Mtp::State {
  std::shared_ptr<const MtpModel> model;
  std::int64_t length = 0, positions = 0;
  Buffer rope;
  KvCache cache;
  std::int32_t sequence = 0;
  // Of the text's rows, whose hidden states wait in its input; and of one guess behind another.
  struct Pass {
    Plan plan;
    MtpValues v;
  } text_pass, step_pass;
  Guesser guesser;
  FeatureText text;

  Result<Pass> make(const Cpu& cpu, const Tensor& table, std::int64_t rows,
                    const Allocator& allocator) noexcept;
  Status prepare(const Cpu& cpu, const Options& options) noexcept;
  Status run(Pass& pass, std::int64_t first, std::int64_t rows, std::int64_t outputs) noexcept;
  Status absorb(std::int64_t end, bool guess) noexcept;
};

Result<Mtp::State::Pass> Mtp::State::make(const Cpu& cpu, const Tensor& table, std::int64_t rows,
                                          const Allocator& allocator) noexcept {
  Pass pass;
  Graph graph(rows, 1);
  KEDGE_TRY(pass.v, build_mtp(graph, *model, cache, table));
  KEDGE_TRY(pass.plan, Plan::compile(graph, cpu, allocator));
  MtpValues& v = pass.v;
  for (Tensor* t : {&v.token, &v.position, &v.sequence, &v.features, &v.tiles, &v.output_row,
                    &v.hidden, &v.logits, &v.choice})
    *t = pass.plan.locate(*t);
  return pass;
}

Status Mtp::State::prepare(const Cpu& cpu, const Options& options) noexcept {
  const ModelConfig& c = model->target().config();
  if (options.pending < 64 || options.length < 1)
    return fail(Code::invalid_argument, "mtp",
                "expected a length of 1 and 64 pending rows at least, found %lld and %lld",
                number(options.length), number(options.pending));
  length = options.length;
  positions = options.positions > 0 ? options.positions : std::min<std::int64_t>(c.context, 8192);
  Tensor table = tensor(nullptr, Element::f32, positions + length, c.rotary_dims);
  KEDGE_TRY(rope, Buffer::create(table.bytes(), "rope table", options.allocator));
  table.data = rope.data();
  KEDGE_CHECK(fill_rope_table(table, c.rope_base, c.rope_scaling));
  KvCache::Options kv;
  kv.element = options.cache;
  kv.positions = positions + length;
  kv.allocator = options.allocator;
  KEDGE_TRY(cache, KvCache::create(1, c.kv_heads, c.head_dim, kv));
  KEDGE_TRY(sequence, cache.claim());
  KEDGE_TRY(text_pass, make(cpu, table, options.pending, options.allocator));
  KEDGE_TRY(step_pass, make(cpu, table, 1, options.allocator));
  KEDGE_TRY(guesser, Guesser::create(cpu, text_pass.v.logits.width(), options.support, nullptr,
                                     options.allocator));
  KEDGE_TRY(text, FeatureText::create("mtp", positions, text_pass.v.features, options.allocator));
  return {};
}

// Rows of positions from `first` on, whose tokens and hidden states are in place; the last guesses.
Status Mtp::State::run(Pass& pass, std::int64_t first, std::int64_t rows,
                       std::int64_t outputs) noexcept {
  const MtpValues& v = pass.v;
  KEDGE_CHECK(cache.reserve(sequence, first, first + rows));
  for (std::int64_t i = 0; i < rows; ++i) {
    v.position.as<std::int32_t>()[i] = static_cast<std::int32_t>(first + i);
    v.sequence.as<std::int32_t>()[i] = sequence;
  }
  *v.output_row.as<std::int32_t>() = static_cast<std::int32_t>(rows - 1);
  KEDGE_CHECK(op::fill_attention_tiles(v.position.as<std::int32_t>(), v.sequence.as<std::int32_t>(),
                                       rows, v.tiles));
  return pass.plan.run(rows, outputs);
}

// Makes the waiting hidden states before `end` keys and values. The last one stays: it guesses, and
// will again where the round comes to nothing.
Status Mtp::State::absorb(std::int64_t end, bool guess) noexcept {
  const std::int64_t first = text.absorbed(), rows = std::min(text.waiting(), end - first);
  if (rows < (guess ? 1 : 2)) return {};
  for (std::int64_t i = 0; i < rows; ++i)
    text_pass.v.token.as<std::int32_t>()[i] = text.token(first + i + 1);
  KEDGE_CHECK(run(text_pass, first, rows, guess ? 1 : 0));
  text.absorb(rows - 1);
  return {};
}

Result<Mtp> Mtp::create(std::shared_ptr<const MtpModel> model, const Cpu& cpu,
                        const Options& options) noexcept {
  std::unique_ptr<State> state(new (std::nothrow) State);
  if (state == nullptr) return fail(Code::out_of_memory, "mtp", "no memory");
  state->model = std::move(model);
  KEDGE_CHECK(state->prepare(cpu, options));
  return Mtp(std::move(state));
}

Mtp::Mtp(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Mtp::Mtp(Mtp&&) noexcept = default;
Mtp& Mtp::operator=(Mtp&&) noexcept = default;
Mtp::~Mtp() = default;

Status Mtp::begin(std::span<const std::int32_t> tokens) noexcept {
  return state_->text.begin(tokens);
}
Status Mtp::append(std::span<const std::int32_t> tokens) noexcept {
  return state_->text.append(tokens);
}
Status Mtp::truncate(std::int64_t count) noexcept {
  FeatureText& text = state_->text;
  text.truncate(count);
  // The row before the newest token takes that token, which may be another one now: nothing that
  // was made of the old one counts.
  if (count >= 1 && text.absorbed() > count - 1) text.forget_from(count - 1);
  return {};
}
std::span<const std::int32_t> Mtp::taps() const noexcept { return {&normed, 1}; }

Status Mtp::evaluated(std::int64_t position, const Tensor& features) noexcept {
  FeatureText& text = state_->text;
  for (std::int64_t done = 0; done < features.rows();) {
    KEDGE_TRY(const std::int64_t taken, text.take(position, features, done));
    done += taken;
    // A row needs the token behind it.
    if (text.full())
      KEDGE_CHECK(
          state_->absorb(std::min(text.absorbed() + text.waiting(), text.size() - 1), false));
    if (taken == 0 && text.full())
      return fail(Code::out_of_memory, "mtp",
                  "hidden states: room for %lld rows that wait for their next token",
                  number(text.waiting()));
  }
  return {};
}

Status Mtp::propose(const Ask& ask, Draft& draft) noexcept {
  State& s = *state_;
  const std::int64_t newest = s.text.size() - 1;
  if (ask.position != s.text.size())
    return fail(Code::invalid_argument, "mtp",
                "the first guess: expected at position %lld, behind the text, found %lld",
                number(s.text.size()), number(ask.position));
  const std::int64_t count = std::min({ask.count, s.length, draft.capacity()});
  if (count < 1 || newest < 1) return {};
  // After a text was cut the row that would guess is state already: nothing until the target has
  // gone on by a token.
  if (s.text.absorbed() >= newest) return {};
  KEDGE_CHECK(s.text.expect_known(newest));
  KEDGE_CHECK(s.absorb(newest, true));
  const State::Pass* pass = &s.text_pass;
  for (std::int64_t i = 0;; ++i) {
    const std::int32_t choice = *pass->v.choice.as<std::int32_t>();
    if (choice < 0)
      return fail(Code::numeric, "mtp", "a NaN among the logits of guess %lld at position %lld",
                  number(i), number(ask.position + i));
    KEDGE_TRY(const std::int32_t token,
              s.guesser.push(ask, i, pass->v.logits, choice, Draft::unknown, draft));
    if (token < 0 || i + 1 == count) return {};
    *s.step_pass.v.token.as<std::int32_t>() = token;
    std::memcpy(s.step_pass.v.features.data, pass->v.hidden.data, pass->v.hidden.bytes());
    KEDGE_CHECK(s.run(s.step_pass, newest + i, 1, 1));
    pass = &s.step_pass;
  }
}

std::span<const float> Mtp::logits() const noexcept {
  const Tensor& t = state_->length > 1 ? state_->step_pass.v.logits : state_->text_pass.v.logits;
  return {t.as<float>(), static_cast<std::size_t>(t.width())};
}

}  // namespace kedge::inline KEDGE_ABI::draft
