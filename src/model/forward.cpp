#include "kedge/model/forward.hpp"

#include <algorithm>
#include <new>

#include "kedge/kernel/cpu/place_columns.hpp"
#include "kedge/kernel/cpu/top_k.hpp"
#include "kedge/op/attention.hpp"
#include "kedge/state/recurrent_state.hpp"

namespace kedge::inline KEDGE_ABI {

Result<Forward> Forward::create(std::shared_ptr<const Model> model, const Cpu& cpu, KvCache& cache,
                                const Options& options, RecurrentState* recurrent) noexcept try {
  const ModelConfig& config = model->config();
  if (options.max_top < 0 || options.max_top > op::TopK::max_k)
    return fail(Code::invalid_argument, "forward", "max_top: expected 0..%d, found %lld",
                op::TopK::max_k, static_cast<long long>(options.max_top));
  Forward forward;
  forward.options_ = options;
  forward.options_.max_top = std::min(options.max_top, config.vocabulary);
  forward.cpu_ = cpu;
  forward.model_ = std::move(model);
  forward.taps_.assign(options.taps.begin(), options.taps.end());
  forward.options_.taps = {};
  forward.cache_ = &cache;
  forward.recurrent_ = recurrent;
  Tensor rope = tensor(nullptr, Element::f32, cache.positions(), config.rotary_dims);
  Accelerator* const device = forward.model_->accelerator().get();
  // Callers find out from max_top(), and look at whole logits.
  if (device != nullptr && !device->has(op::TopK::name)) forward.options_.max_top = 0;
  KEDGE_TRY(forward.rope_, make_rope_table(rope, config.rope_base, config.rope_scaling, device,
                                           options.allocator));

  Graph graph(options.max_rows, options.max_outputs,
              device == nullptr ? Graph::Activations::rounded : Graph::Activations::floats);
  KEDGE_TRY(const PassValues values,
            build_transformer(graph, *forward.model_, cache, recurrent, rope, options.taps));
  KEDGE_TRY(forward.plan_, device == nullptr ? Plan::compile(graph, cpu, options.allocator)
                                             : Plan::compile(graph, *device, options.allocator));
  forward.token_ = forward.plan_.locate(values.token);
  forward.position_ = forward.plan_.locate(values.position);
  forward.sequence_ = forward.plan_.locate(values.sequence);
  if (!options.taps.empty()) forward.features_ = forward.plan_.locate(values.features);
  forward.slot_ = forward.plan_.locate(values.slot);
  forward.parent_ = forward.plan_.locate(values.parent);
  if (recurrent != nullptr) {
    forward.runs_ = forward.plan_.locate(values.runs);
    forward.steps_ = forward.plan_.locate(values.steps);
  }
  forward.tiles_ = forward.plan_.locate(values.tiles);
  forward.output_row_ = forward.plan_.locate(values.output_row);
  forward.logits_ = forward.plan_.locate(values.logits);
  forward.logits_wanted_ = forward.plan_.locate(values.logits_wanted);
  forward.choice_ = forward.plan_.locate(values.choice);
  KEDGE_TRY(forward.need_, Buffer::create(static_cast<std::size_t>(options.max_outputs), "forward",
                                          options.allocator));
  if (device != nullptr) {
    KEDGE_CHECK(forward.compile_top(*device));
    KEDGE_CHECK(forward.compile_copy(*device));
    return forward;
  }
  KEDGE_TRY(forward.top_memory_,
            Buffer::create(forward.place_top(forward.options_.max_top, nullptr), "top logits",
                           options.allocator));
  return forward;
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "forward", "no memory");
}

// A graph of its own, which runs only where it is asked for. It always finds max_top logits, of
// which a caller that wants fewer sees the first.
Status Forward::compile_top(Accelerator& device) {
  top_ = {};
  if (options_.max_top == 0) return {};
  const std::int64_t outputs = options_.max_outputs;
  Graph graph(outputs, 1, Graph::Activations::floats);
  op::TopK::Args args;
  KEDGE_TRY(args.x, graph.state(logits_));
  args.k = static_cast<std::int32_t>(options_.max_top);
  KEDGE_TRY(args.index, graph.external(Element::i32, args.k));
  KEDGE_TRY(args.value, graph.external(Element::f32, args.k));
  KEDGE_TRY(args.scratch, graph.activation(Element::i32, op::TopK::scratch_width(args)));
  KEDGE_CHECK(graph.add<op::TopK>(args));
  KEDGE_TRY(top_plan_, Plan::compile(graph, device, options_.allocator));
  top_ = args;
  top_.index = top_plan_.locate(args.index);
  top_.value = top_plan_.locate(args.value);
  return {};
}

// Logits stay where the device makes them, and the largest of them is found there. Whole ones go to
// the host in a graph of its own, which runs only for those who ask for them; where the host reads
// the device's memory like its own, there is nothing to copy.
Status Forward::compile_copy(Accelerator& device) {
  if (device.readable(logits_.data)) return {};
  Graph graph(options_.max_outputs, 1, Graph::Activations::floats);
  KEDGE_TRY(const Tensor x, graph.state(logits_));
  KEDGE_TRY(const Tensor y, graph.external(Element::f32, logits_.width()));
  KEDGE_CHECK(graph.add<op::PlaceColumns>({x, y}));
  KEDGE_TRY(copy_plan_, Plan::compile(graph, device, options_.allocator));
  logits_ = copy_plan_.locate(y);
  return {};
}

// The pass, and behind it what its rows need of their logits. The host waits once, at the end,
// unless it wants to be asked in between.
Status Forward::run_there(std::int64_t rows, std::int64_t outputs, bool top, bool logits,
                          const std::atomic<bool>* cancel) noexcept {
  logits = logits && copy_plan_.accelerated() != nullptr;
  if (cancel != nullptr || !(top || logits)) {
    KEDGE_CHECK(plan_.run(rows, outputs, cancel));
    if (top) KEDGE_CHECK(top_plan_.run(outputs, 0, cancel));
    return logits ? copy_plan_.run(outputs, 0, cancel) : Status();
  }
  AcceleratorPlan& pass = *plan_.accelerated();
  KEDGE_TRY(const std::uint64_t ticket, pass.submit(rows, outputs));
  Status done;
  if (top) done = top_plan_.run(outputs, 0);
  if (done && logits) done = copy_plan_.run(outputs, 0);
  // The queue has one order: what stands behind the pass is done after it.
  const Status passed = pass.wait(ticket);
  return passed ? done : passed;
}

// Points top_ into memory for k values; returns the bytes that all outputs take.
std::size_t Forward::place_top(std::int64_t k, std::byte* memory) noexcept {
  const std::int64_t outputs = options_.max_outputs;
  top_ = {};
  if (k == 0) return 0;
  top_.x = logits_;
  top_.k = static_cast<std::int32_t>(k);
  std::size_t bytes = 0;
  const auto place = [&](Element element, std::int64_t width) {
    const Tensor t = tensor(memory == nullptr ? nullptr : memory + bytes, element, outputs, width);
    bytes += t.bytes();
    return t;
  };
  top_.index = place(Element::i32, k);
  top_.value = place(Element::f32, k);
  top_.scratch = place(Element::i32, op::TopK::scratch_width(top_));
  return bytes;
}

Forward::Top Forward::top(std::int64_t i) const noexcept {
  if (need_.as<Need>()[i] < Need::top_k || top_count_ == 0) return {};
  const auto k = static_cast<std::size_t>(top_count_);
  return {{top_.index.row<std::int32_t>(i), k}, {top_.value.row<float>(i), k}};
}

Status Forward::run(std::span<const Row> rows) noexcept {
  KEDGE_CHECK(evaluate(rows, {}));
  std::int64_t outputs = 0;
  for (const Row& row : rows) outputs += row.need != Need::none ? 1 : 0;
  for (std::int64_t i = 0; i < outputs; ++i) KEDGE_CHECK(finite(i));
  return {};
}

Status Forward::finite(std::int64_t i) const noexcept {
  if (choice(i) >= 0) return {};
  const std::int32_t r = output_row_.as<std::int32_t>()[i];
  return fail(Code::numeric, "logits", "a NaN at position %d of sequence %d (token %d)",
              position_.as<std::int32_t>()[r], sequence_.as<std::int32_t>()[r],
              token_.as<std::int32_t>()[r]);
}

// Which row each stands behind, and where its keys and values go: rows of a sequence one behind the
// other from the position of the first on, whatever their own.
Status Forward::place_rows(std::span<const Row> rows) noexcept {
  auto *slot = slot_.as<std::int32_t>(), *parent = parent_.as<std::int32_t>();
  // Kernels on an accelerator walk up branches in loops that drivers may cut short.
  constexpr std::int32_t deepest = 32;
  std::int32_t first = 0;
  bool branches = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const auto r = static_cast<std::int32_t>(i);
    if (i == 0 || row.sequence != rows[i - 1].sequence) first = r, branches = false;
    slot[i] = rows[static_cast<std::size_t>(first)].position + r - first;
    parent[i] = r == first ? -1 : row.parent == Row::before ? r - 1 : row.parent;
    if (r == first) continue;
    if (parent[i] < first || parent[i] >= r ||
        row.position != rows[static_cast<std::size_t>(parent[i])].position + 1)
      return fail(Code::invalid_argument, "forward",
                  "row %d: position %d behind row %d: expected an earlier row of sequence %d, from "
                  "row %d on, and the position behind it",
                  r, row.position, parent[i], row.sequence, first);
    branches = branches || parent[i] != r - 1;
    if (branches && r - first >= deepest && model_->accelerator() != nullptr)
      return fail(
          Code::unsupported, "forward",
          "row %d: a tree of sequence %d has more than the %d rows that an accelerator takes", r,
          row.sequence, deepest);
    if (slot[i] >= cache_->positions())
      return fail(Code::invalid_argument, "forward",
                  "row %d: a tree of sequence %d is stored up to position %d, the cache has %lld",
                  r, row.sequence, slot[i], static_cast<long long>(cache_->positions()));
  }
  return {};
}

Status Forward::evaluate(std::span<const Row> rows, const Pass& pass) noexcept {
  const auto count = static_cast<std::int64_t>(rows.size());
  if (count < 1 || count > options_.max_rows)
    return fail(Code::invalid_argument, "forward", "rows: expected 1..%lld, found %lld",
                static_cast<long long>(options_.max_rows), static_cast<long long>(count));
  const std::int64_t vocabulary = model_->config().vocabulary;
  std::int64_t outputs = 0;
  bool wants_top = false, wants_logits = false;
  for (std::int64_t r = 0; r < count; ++r) {
    const Row& row = rows[static_cast<std::size_t>(r)];
    if (row.token < 0 || row.token >= vocabulary)
      return fail(Code::invalid_argument, "forward", "row %lld: token %d is not in 0..%lld",
                  static_cast<long long>(r), row.token, static_cast<long long>(vocabulary - 1));
    if (row.position < 0 || row.position >= cache_->positions() || row.sequence < 0 ||
        row.sequence >= cache_->sequences())
      return fail(Code::invalid_argument, "forward",
                  "row %lld: position %d of sequence %d is outside the cache (%lld positions, %lld "
                  "sequences)",
                  static_cast<long long>(r), row.position, row.sequence,
                  static_cast<long long>(cache_->positions()),
                  static_cast<long long>(cache_->sequences()));
    token_.as<std::int32_t>()[r] = row.token;
    position_.as<std::int32_t>()[r] = row.position;
    sequence_.as<std::int32_t>()[r] = row.sequence;
    if (row.need == Need::none) continue;
    if (outputs == options_.max_outputs)
      return fail(Code::invalid_argument, "forward", "more than %lld rows want their logits",
                  static_cast<long long>(options_.max_outputs));
    wants_top = wants_top || row.need == Need::top_k;
    wants_logits = wants_logits || row.need == Need::logits;
    need_.as<Need>()[outputs] = row.need;
    output_row_.as<std::int32_t>()[outputs++] = static_cast<std::int32_t>(r);
  }
  KEDGE_CHECK(place_rows(rows));
  KEDGE_CHECK(op::fill_attention_tiles(position_.as<std::int32_t>(), sequence_.as<std::int32_t>(),
                                       count, tiles_, slot_.as<std::int32_t>()));
  if (recurrent_ != nullptr)
    KEDGE_CHECK(recurrent_->fill(position_.as<std::int32_t>(), sequence_.as<std::int32_t>(),
                                 parent_.as<std::int32_t>(), count, runs_, steps_));
  if (wants_top && (pass.top < 1 || pass.top > options_.max_top))
    return fail(Code::invalid_argument, "forward", "top: expected 1..%lld, found %lld",
                static_cast<long long>(options_.max_top), static_cast<long long>(pass.top));
  top_count_ = wants_top ? pass.top : 0;
  if (plan_.accelerated() != nullptr)
    return run_there(count, outputs, wants_top, wants_logits, pass.cancel);
  *logits_wanted_.as<std::int32_t>() = wants_top || wants_logits ? 1 : 0;
  KEDGE_CHECK(plan_.run(count, outputs, pass.cancel));
  place_top(top_count_, top_memory_.data());
  if (!wants_top) return {};
  return cpu_.run<op::TopK>(top_, outputs);
}

}  // namespace kedge::inline KEDGE_ABI
