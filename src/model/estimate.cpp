// The memory of a session, by building the graph that it would run and laying it out without the
// memory. Exact, so that a budget can be refused before anything is taken.
#include "kedge/model/estimate.hpp"

#include "kedge/core/buffer.hpp"
#include "kedge/graph/plan.hpp"
#include "kedge/model/model.hpp"
#include "kedge/model/transformer.hpp"
#include "kedge/op/top_k.hpp"
#include "kedge/state/kv_cache.hpp"
#include "kedge/state/recurrent_state.hpp"

namespace kedge::inline KEDGE_ABI {

Result<MemoryEstimate> Model::estimate(const SessionShape& shape) const noexcept {
  constexpr const char* place = "memory estimate";
  MemoryEstimate e;
  e.stored = stored_bytes_;
  e.weights = memory_.size();
  e.context =
      shape.context > 0 ? shape.context : std::min<std::int64_t>(config_.context, default_context);
  if (shape.max_rows < 1 || shape.max_rows > 65536 || shape.max_outputs < 1 ||
      shape.max_outputs > shape.max_rows)
    return fail(Code::invalid_argument, place,
                "expected 1..65536 rows and at most as many outputs, found %lld and %lld",
                static_cast<long long>(shape.max_rows), static_cast<long long>(shape.max_outputs));

  // One page is enough to stand for all: only its layout is looked at.
  KvCache::Options kv;
  kv.element = shape.cache;
  kv.positions = e.context;
  kv.sequences = shape.sequences;
  kv.pages = 1;
  KEDGE_TRY(const KvCache cache,
            KvCache::create(config_.attention_layers(), config_.kv_heads, config_.head_dim, kv));
  const std::int64_t longest = (e.context + page_positions - 1) / page_positions;
  const std::int64_t pages = shape.pages > 0 ? shape.pages : longest * shape.sequences;
  e.kv_per_position = cache.layout().bytes_per_position();
  e.kv = cache.layout().pool_bytes(pages);

  const Tensor rope = tensor(nullptr, Element::f32, e.context, config_.rotary_dims);
  const bool device = accelerator_ != nullptr;
  Graph graph(shape.max_rows, shape.max_outputs,
              device ? Graph::Activations::floats : Graph::Activations::rounded);
  const bool hybrid = !config_.recurrent.empty();
  RecurrentState recurrent;
  if (hybrid) {
    RecurrentState::Options state;
    KEDGE_TRY(e.policy,
              recurrent_policy(config_.recurrent,
                               shape.max_draft < 0 ? shape.max_outputs - 1 : shape.max_draft,
                               shape.recurrent));
    state.policy = e.policy;
    state.sequences = shape.sequences;
    state.landmarks = shape.recurrent.landmarks;
    state.storage = state_storage();
    KEDGE_TRY(recurrent, RecurrentState::outline(config_.recurrent, state));
    e.recurrent = RecurrentState::bytes_needed(config_.recurrent, state);
  }
  KEDGE_CHECK(
      build_transformer(graph, *this, cache, hybrid ? &recurrent : nullptr, rope, shape.taps));
  KEDGE_TRY(e.activations, Plan::bytes_needed(graph, device));
  // Page tables of the sequences, the pool's free and shared pages, the text.
  const std::int64_t words = longest * shape.sequences + 2 * pages + e.context + 1;
  e.tables = rope.bytes() + static_cast<std::uint64_t>(words) * sizeof(std::int32_t);
  // Adjusted logits, counts and candidates of a draw, and the largest logits of every output; of a
  // device whose memory the host does not read also all of them.
  op::TopK::Args top;
  top.x = tensor(nullptr, Element::f32, shape.max_outputs, config_.vocabulary);
  top.k = static_cast<std::int32_t>(std::min(shape.max_top, config_.vocabulary));
  const std::int64_t values =
      4 * config_.vocabulary + shape.max_outputs * (2 * top.k + op::TopK::scratch_width(top));
  const std::int64_t copied = device ? shape.max_outputs * config_.vocabulary : 0;
  e.sampling = static_cast<std::uint64_t>(values + copied) * sizeof(float);
  return e;
}

Result<std::int64_t> Model::largest_context(const SessionShape& shape,
                                            std::uint64_t budget) const noexcept {
  SessionShape tried = shape;
  std::int64_t fits = 0, above = config_.context + 1;
  while (above - fits > 1) {
    tried.context = fits + (above - fits) / 2;
    KEDGE_TRY(const MemoryEstimate e, estimate(tried));
    (e.session() <= budget ? fits : above) = tried.context;
  }
  return fits;
}

Status Model::check_budget(const SessionShape& shape, std::uint64_t budget) const noexcept {
  if (budget == 0) return {};
  KEDGE_TRY(const MemoryEstimate e, estimate(shape));
  if (e.session() <= budget) return {};
  KEDGE_TRY(const std::int64_t fits, largest_context(shape, budget));
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  return fail(Code::out_of_memory, "session",
              "a context of %lld needs %llu bytes (keys and values %llu, recurrent state %llu, "
              "activations %llu, tables %llu), the budget is %llu; %s%lld",
              static_cast<long long>(e.context), number(e.session()), number(e.kv),
              number(e.recurrent), number(e.activations), number(e.tables), number(budget),
              fits > 0 ? "the largest context that fits is " : "no context fits: ",
              static_cast<long long>(fits));
}

}  // namespace kedge::inline KEDGE_ABI
