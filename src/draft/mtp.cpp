#include "kedge/draft/mtp.hpp"

#include <algorithm>
#include <cstring>

#include "draft/drawing.hpp"
#include "draft/feature_text.hpp"
#include "draft/mtp_graph.hpp"
#include "draft/site.hpp"
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
  // Hidden states of the whole text: a row takes the token behind it, which is another one after
  // the text was cut. They lie in `text` as if all of them waited; `made` rows are state.
  Buffer history;
  std::int64_t made = 0;
  // Of the text's rows, the last of which guesses, and of one guess behind another.
  struct Pass {
    Plan plan;
    MtpValues v;
  } text_pass, step_pass;
  Drawing drawing;
  FeatureText text;

  Result<Pass> make(const Site& site, const Tensor& table, std::int64_t rows) noexcept;
  Status prepare(const Cpu& cpu, const Options& options) noexcept;
  Status run(Pass& pass, std::int64_t first, std::int64_t rows, std::int64_t outputs) noexcept;
  Status guess_behind(std::int64_t end) noexcept;
};

Result<Mtp::State::Pass> Mtp::State::make(const Site& site, const Tensor& table,
                                          std::int64_t rows) noexcept {
  Pass pass;
  Graph graph = site.graph(rows, 1);
  KEDGE_TRY(pass.v, build_mtp(graph, *model, cache, table));
  KEDGE_TRY(pass.plan, site.compile(graph));
  MtpValues& v = pass.v;
  for (Tensor* t : {&v.token, &v.position, &v.sequence, &v.features, &v.tiles, &v.output_row,
                    &v.hidden, &v.logits, &v.choice})
    *t = pass.plan.locate(*t);
  return pass;
}

Status Mtp::State::prepare(const Cpu& cpu, const Options& options) noexcept {
  const ModelConfig& c = model->target().config();
  if (options.rows < 1 || options.length < 1)
    return fail(Code::invalid_argument, "mtp",
                "length and rows: expected 1 at least, found %lld and %lld", number(options.length),
                number(options.rows));
  length = options.length;
  positions = options.positions > 0 ? options.positions : std::min<std::int64_t>(c.context, 8192);
  Tensor table = tensor(nullptr, Element::f32, positions + length, c.rotary_dims);
  const Site site{cpu, model->target().accelerator().get(), options.allocator};
  KEDGE_TRY(rope,
            make_rope_table(table, c.rope_base, c.rope_scaling, site.device, options.allocator));
  KvCache::Options kv;
  kv.element = options.cache;
  kv.positions = positions + length;
  kv.allocator = options.allocator;
  kv.storage = site.storage();
  KEDGE_TRY(cache, KvCache::create(1, c.kv_heads, c.head_dim, kv));
  KEDGE_TRY(sequence, cache.claim());
  KEDGE_TRY(text_pass, make(site, table, options.rows));
  KEDGE_TRY(step_pass, make(site, table, 1));
  const std::int64_t vocabulary = text_pass.v.logits.width();
  KEDGE_TRY(drawing,
            Drawing::create({cpu.isa(), vocabulary, vocabulary, {}, false, options.allocator}));
  Tensor all = tensor(nullptr, Element::f32, positions, c.width);
  KEDGE_TRY(history, Buffer::create(all.bytes(), "hidden states of the text", options.allocator));
  all.data = history.data();
  KEDGE_TRY(text, FeatureText::create("mtp", positions, all, options.allocator));
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

// Makes hidden states before `end` keys and values, and guesses behind the last one. That row will
// be made again by the next proposal, which may be for the same text.
Status Mtp::State::guess_behind(std::int64_t end) noexcept {
  const Tensor& input = text_pass.v.features;
  const auto row = static_cast<std::size_t>(input.width()) * sizeof(float);
  made = std::min(made, end - 1);  // it is more where the text was cut right behind
  for (;;) {
    const std::int64_t rows = std::min(end - made, input.rows());
    const bool last = made + rows == end;
    std::memcpy(input.data, history.data() + static_cast<std::size_t>(made) * row,
                static_cast<std::size_t>(rows) * row);
    for (std::int64_t i = 0; i < rows; ++i)
      text_pass.v.token.as<std::int32_t>()[i] = text.token(made + i + 1);
    KEDGE_CHECK(run(text_pass, made, rows, last ? 1 : 0));
    made += rows - (last ? 1 : 0);
    if (last) return {};
  }
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
  state_->made = 0;
  return state_->text.begin(tokens);
}
Status Mtp::append(std::span<const std::int32_t> tokens) noexcept {
  return state_->text.append(tokens);
}
Status Mtp::truncate(std::int64_t count) noexcept {
  state_->text.truncate(count);
  // The last row took the token that stood behind it.
  state_->made = std::max<std::int64_t>(0, std::min(state_->made, count - 1));
  return {};
}
std::span<const std::int32_t> Mtp::taps() const noexcept { return {&normed, 1}; }

Status Mtp::evaluated(std::int64_t position, const Tensor& features) noexcept {
  KEDGE_TRY(const std::int64_t taken, state_->text.take(position, features, 0));
  state_->made = std::min(state_->made, position);
  if (taken == features.rows()) return {};
  return fail(Code::out_of_memory, "mtp", "hidden states: room for %lld positions, asked for %lld",
              number(state_->positions), number(position + features.rows()));
}

Status Mtp::propose(const Ask& ask, Draft& draft) noexcept {
  State& s = *state_;
  const std::int64_t newest = s.text.size() - 1;
  if (ask.position != s.text.size())
    return fail(Code::invalid_argument, "mtp",
                "the first guess: expected at position %lld, behind the text, found %lld",
                number(s.text.size()), number(ask.position));
  const std::int64_t count = std::min({ask.count, s.length, draft.capacity()});
  KEDGE_CHECK(s.drawing.prepare(*ask.sampling));
  if (count < 1 || newest < 1) return {};
  KEDGE_CHECK(s.text.expect_known(newest));
  KEDGE_CHECK(s.guess_behind(newest));
  const State::Pass* pass = &s.text_pass;
  for (std::int64_t i = 0;; ++i) {
    const std::int32_t choice = *pass->v.choice.as<std::int32_t>();
    if (choice < 0)
      return fail(Code::numeric, "mtp", "a NaN among the logits of guess %lld at position %lld",
                  number(i), number(ask.position + i));
    const Tensor& logits = pass->v.logits;
    const Drawing::Row row{{logits.as<float>(), static_cast<std::size_t>(logits.width())}, choice};
    KEDGE_TRY(const std::int32_t token,
              s.drawing.guess(row, ask, s.text.tokens(), count - i, draft));
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
