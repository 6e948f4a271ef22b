#include "kedge/draft/dspark.hpp"

#include <algorithm>
#include <cmath>

#include "draft/drawing.hpp"
#include "draft/dspark_graph.hpp"
#include "draft/feature_text.hpp"
#include "draft/markov_head.hpp"
#include "kedge/graph/plan.hpp"
#include "kedge/op/attention.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {
long long number(std::int64_t n) { return static_cast<long long>(n); }
}  // namespace

struct Dspark::State {
  std::shared_ptr<const DsparkModel> model;
  std::int64_t positions = 0, window = 0;
  Buffer rope;
  KvCache cache;
  std::int32_t sequence = 0;
  Plan context_plan, block_plan;
  ContextValues context;
  BlockValues block;
  MarkovHead head;
  Drawing drawing;
  FeatureText text;
  bool logits = false;  // Options::logits

  const DsparkConfig& config() const noexcept { return model->config(); }
  const char* name() const noexcept { return config().rank > 0 ? "dspark" : "dflash"; }

  Status prepare(const Cpu& cpu, const Options& options) noexcept;
  Status absorb(std::int64_t end) noexcept;
  Status run_block(std::int64_t anchor) noexcept;
};

Status Dspark::State::prepare(const Cpu& cpu, const Options& options) noexcept {
  const DsparkConfig& c = config();
  const ModelConfig& b = c.backbone;
  if (options.pending < 2)
    return fail(Code::invalid_argument, name(), "pending: expected at least 2, found %lld",
                number(options.pending));
  positions = options.positions > 0 ? options.positions : std::min<std::int64_t>(b.context, 8192);
  logits = options.logits;
  for (const DsparkConfig::Layer& l : c.layers) window = std::max(window, l.window);

  Tensor table = tensor(nullptr, Element::f32, positions + c.block, b.rotary_dims);
  const Site site{cpu, model->accelerator().get(), options.allocator};
  KEDGE_TRY(rope,
            make_rope_table(table, b.rope_base, b.rope_scaling, site.device, options.allocator));
  KvCache::Options kv;
  kv.element = options.cache;
  kv.positions = positions + c.block;
  kv.allocator = options.allocator;
  kv.storage = site.storage();
  KEDGE_TRY(cache, KvCache::create(b.layers, b.kv_heads, b.head_dim, kv));
  KEDGE_TRY(sequence, cache.claim());

  Graph first = site.graph(options.pending, 1), second = site.graph(c.block, c.block);
  KEDGE_TRY(context, build_context(first, *model, cache, table));
  KEDGE_TRY(context_plan, site.compile(first));
  for (Tensor* t : {&context.features, &context.position, &context.sequence})
    *t = context_plan.locate(*t);
  KEDGE_TRY(block, build_block(second, *model, cache, table));
  KEDGE_TRY(block_plan, site.compile(second));
  for (Tensor* t : {&block.token, &block.position, &block.sequence, &block.tiles, &block.last,
                    &block.last_tiles, &block.first, &block.hidden, &block.logits, &block.choice})
    *t = block_plan.locate(*t);
  KEDGE_TRY(head, MarkovHead::create(*model, site, block));
  std::span<const std::int32_t> map;
  if (model->mapped()) map = {model->map(), static_cast<std::size_t>(c.draft_vocabulary)};
  KEDGE_TRY(drawing, Drawing::create({cpu.isa(), c.draft_vocabulary, b.vocabulary, map, false,
                                      options.allocator}));
  KEDGE_TRY(text, FeatureText::create(name(), positions, context.features, options.allocator));
  return {};
}

// Makes the waiting hidden states before `end` keys and values.
Status Dspark::State::absorb(std::int64_t end) noexcept {
  const std::int64_t first = text.absorbed(), rows = std::min(text.waiting(), end - first);
  if (rows <= 0) return {};
  KEDGE_CHECK(cache.reserve(sequence, first, first + rows));
  for (std::int64_t i = 0; i < rows; ++i) {
    context.position.as<std::int32_t>()[i] = static_cast<std::int32_t>(first + i);
    context.sequence.as<std::int32_t>()[i] = sequence;
  }
  KEDGE_CHECK(context_plan.run(rows, 0));
  text.absorb(rows);
  return {};
}

Status Dspark::State::run_block(std::int64_t anchor) noexcept {
  const DsparkConfig& c = config();
  KEDGE_CHECK(cache.reserve(sequence, anchor, anchor + c.block));
  for (std::int64_t k = 0; k < c.block; ++k) {
    block.token.as<std::int32_t>()[k] = k == 0 ? text.token(anchor) : c.mask_token;
    block.position.as<std::int32_t>()[k] = static_cast<std::int32_t>(anchor + k);
    block.sequence.as<std::int32_t>()[k] = sequence;
    block.last.as<std::int32_t>()[k] = static_cast<std::int32_t>(anchor + c.block - 1);
    // The same for all slots, as in training: relative to the anchor.
    block.first.as<std::int32_t>()[k] =
        static_cast<std::int32_t>(std::max<std::int64_t>(0, anchor - window));
  }
  const auto* sequences = block.sequence.as<std::int32_t>();
  KEDGE_CHECK(
      op::fill_attention_tiles(block.position.as<std::int32_t>(), sequences, c.block, block.tiles));
  KEDGE_CHECK(op::fill_attention_tiles(block.last.as<std::int32_t>(), sequences, c.block,
                                       block.last_tiles));
  return block_plan.run(c.block, c.block);
}

Result<Dspark> Dspark::create(std::shared_ptr<const DsparkModel> model, const Cpu& cpu,
                              const Options& options) noexcept {
  std::unique_ptr<State> state(new (std::nothrow) State);
  if (state == nullptr) return fail(Code::out_of_memory, "dspark", "no memory");
  state->model = std::move(model);
  KEDGE_CHECK(state->prepare(cpu, options));
  return Dspark(std::move(state));
}

Dspark::Dspark(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Dspark::Dspark(Dspark&&) noexcept = default;
Dspark& Dspark::operator=(Dspark&&) noexcept = default;
Dspark::~Dspark() = default;

Status Dspark::begin(std::span<const std::int32_t> tokens) noexcept {
  return state_->text.begin(tokens);
}
Status Dspark::append(std::span<const std::int32_t> tokens) noexcept {
  return state_->text.append(tokens);
}
Status Dspark::truncate(std::int64_t count) noexcept {
  state_->text.truncate(count);
  return {};
}
std::span<const std::int32_t> Dspark::taps() const noexcept { return state_->config().taps; }

// What waits is made use of in propose(), but for a prompt that is longer than the room.
Status Dspark::evaluated(std::int64_t position, const Tensor& features) noexcept {
  FeatureText& text = state_->text;
  for (std::int64_t done = 0; done < features.rows();) {
    KEDGE_TRY(const std::int64_t taken, text.take(position, features, done));
    done += taken;
    // The last may be the newest token's, which is no context yet.
    if (text.full()) KEDGE_CHECK(state_->absorb(text.absorbed() + text.waiting() - 1));
  }
  return {};
}

Status Dspark::propose(const Ask& ask, Draft& draft) noexcept {
  State& s = *state_;
  const DsparkConfig& c = s.config();
  const std::int64_t anchor = s.text.size() - 1;
  if (anchor < 0 || ask.position != s.text.size())
    return fail(Code::invalid_argument, s.name(),
                "the first guess: expected at position %lld, behind the text, found %lld",
                number(s.text.size()), number(ask.position));
  const std::int64_t count = std::min({ask.count, c.drafts(), draft.capacity()});
  KEDGE_CHECK(s.drawing.prepare(*ask.sampling));
  if (count < 1) return {};
  // Right behind where a text was cut the newest token's own state may be in the context, and its
  // hidden state is gone: nothing is guessed until the text is a token longer.
  if (s.text.absorbed() > anchor) return {};
  KEDGE_CHECK(s.text.expect_known(anchor));
  KEDGE_CHECK(s.absorb(anchor));
  KEDGE_CHECK(s.run_block(anchor));

  const bool logits = s.logits || s.drawing.reads_logits(ask, c.confidence);
  std::int32_t previous = s.text.token(anchor);
  KEDGE_CHECK(s.head.begin(previous));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t slot = c.first_slot() + i;
    KEDGE_TRY(const MarkovHead::Step step, s.head.step(slot, previous, logits));
    if (step.choice < 0)
      return fail(Code::numeric, s.name(), "a NaN among the logits of slot %lld at position %lld",
                  number(slot), number(ask.position + i));
    if (c.confidence && std::isnan(step.confidence))
      return fail(Code::numeric, s.name(), "the confidence of slot %lld at position %lld is a NaN",
                  number(slot), number(ask.position + i));
    const Tensor& all = s.block.logits;
    const Drawing::Row row{{all.row<float>(slot), static_cast<std::size_t>(all.width())},
                           step.choice,
                           step.confidence};
    KEDGE_TRY(previous, s.drawing.guess(row, ask, s.text.tokens(), count - i, draft));
    if (previous < 0) break;
  }
  return {};
}

const char* Dspark::name() const noexcept { return state_->name(); }
const DsparkModel& Dspark::model() const noexcept { return *state_->model; }

std::span<const float> Dspark::logits(std::int64_t i) const noexcept {
  if (!state_->logits) return {};
  const Tensor& logits = state_->block.logits;
  return {logits.row<float>(state_->config().first_slot() + i),
          static_cast<std::size_t>(logits.width())};
}

std::size_t Dspark::bytes() const noexcept {
  const State& s = *state_;
  return s.rope.size() + s.cache.bytes() + s.context_plan.bytes() + s.block_plan.bytes() +
         s.head.bytes();
}

}  // namespace kedge::inline KEDGE_ABI::draft
