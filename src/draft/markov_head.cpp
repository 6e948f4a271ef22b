#include "draft/markov_head.hpp"

#include <algorithm>
#include <cstring>

#include "io/guarded.hpp"
#include "kedge/draft/draft.hpp"
#include "kedge/kernel/cpu/confidence.hpp"
#include "kedge/kernel/cpu/markov_bias.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/place_columns.hpp"
#include "kedge/kernel/cpu/row_lookup.hpp"
#include "model/blocks.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

// W2 is read once per slot. One a little larger than the workers' own caches would find nothing of
// itself there: what a slot reads first is what the end of the slot before has thrown out. In
// pieces, forwards in even slots and backwards in odd ones, most of it is still there.
constexpr std::int64_t pieces = 8;
// Bytes of a worker above which that is done: half of a second-level cache of 2 MiB.
constexpr std::size_t kept_bytes = std::size_t{1} << 20;
// A product of so many bytes takes one worker no longer than it takes to wake the others.
constexpr std::size_t alone_bytes = std::size_t{64} << 10;

// One slot's part of the graph.
class Builder {
 public:
  Builder(Graph& graph, const DsparkModel& model, const Tensor& state)
      : graph_(graph), c_(model.config()), w_(model.weights()), state_(state) {}

  // Whether z is e itself.
  bool is_embedding() const noexcept {
    return c_.head == op::MarkovBias::vanilla && product_input(graph_, w_.w2) == Element::f32;
  }
  // z of the token before; e is its embedding.
  Result<Tensor> bias(const Tensor& e, const Tensor& h) {
    if (is_embedding()) return e;
    op::MarkovBias::Args args;
    args.e = e;
    args.head = c_.head;
    KEDGE_TRY(args.z, graph_.kept(product_input(graph_, w_.w2), c_.rank));
    if (c_.head == op::MarkovBias::rnn) {
      KEDGE_TRY(args.state, graph_.state(state_));
      KEDGE_TRY(args.projection, projection({args.state, e, h}));
    } else if (c_.head == op::MarkovBias::gated) {
      KEDGE_TRY(args.projection, projection({h, e}));
    }
    KEDGE_CHECK(graph_.add<op::MarkovBias>(args));
    return args.z;
  }

  // Adds W2 z to the slot's logits.
  Status correct(const Tensor& z, const Tensor& logits, bool in_pieces, bool backwards) {
    const Tensor& w2 = w_.w2;
    if (!in_pieces) return graph_.add<op::Matmul>({z, w2, logits, logits});
    // Whole groups of the panels that a worker reads side by side.
    const std::int64_t step = (w2.rows() / pieces + 63) / 64 * 64;
    for (std::int64_t i = 0; i < pieces; ++i) {
      const std::int64_t first = (backwards ? pieces - 1 - i : i) * step;
      const std::int64_t rows = std::min(step, w2.rows() - first);
      if (rows <= 0) continue;
      Tensor part = w2;
      part.data += cpu::packed_bytes(w2.element, first, w2.width());
      part.extent[0] = rows;
      KEDGE_TRY(const Tensor y,
                graph_.state(tensor(logits.as<float>() + first, Element::f32, 1, rows)));
      KEDGE_CHECK(graph_.add<op::Matmul>({z, part, y, y}));
    }
    return {};
  }

 private:
  // The product with what stands side by side.
  Result<Tensor> projection(std::initializer_list<Tensor> parts) {
    KEDGE_TRY(const Tensor all, graph_.activation(Element::f32, w_.projection.width()));
    std::int64_t column = 0;
    for (const Tensor& part : parts) {
      KEDGE_CHECK(graph_.add<op::PlaceColumns>({part, all, static_cast<std::int32_t>(column)}));
      column += part.width();
    }
    Operand operand(all);
    KEDGE_TRY(const Tensor x, operand.of(graph_, w_.projection));
    KEDGE_TRY(const Tensor y, graph_.activation(Element::f32, w_.projection.rows()));
    KEDGE_CHECK(graph_.add<op::Matmul>({x, w_.projection, w_.projection_bias, y}));
    return y;
  }

  Graph& graph_;
  const DsparkConfig& c_;
  const DsparkWeights& w_;
  const Tensor state_;
};

}  // namespace

Result<MarkovHead::Slot> MarkovHead::build(const DsparkModel& model, const Site& site,
                                           const BlockValues& block, std::int64_t slot) noexcept {
  const DsparkConfig& c = model.config();
  const DsparkWeights& w = model.weights();
  const bool guesses = slot >= first_slot_;
  const Tensor state = tensor(state_.data(), Element::f32, 1, c.rank);
  Graph graph = site.graph(1, 1), second = site.graph(1, 1);
  Builder builder(graph, model, state);
  Slot s;
  s.logits = block.logits.row<float>(slot);
  s.largest = block.choice.row<std::int32_t>(slot);
  const bool has_confidence = c.confidence && guesses;
  if (c.rank == 0 && !has_confidence) return s;
  Tensor choice, confidence, previous, e, z, number;
  // A device binds what begins at some multiple of bytes; a row that does not is copied.
  const auto apart = [&](const Tensor& all) {
    return site.device != nullptr &&
           static_cast<std::size_t>(slot * all.width()) * sizeof(float) % device_alignment != 0;
  };
  const auto row_of = [&](Graph& of, const Tensor& all, bool outside) -> Result<Tensor> {
    if (!apart(all)) return of.state(tensor(all.row<float>(slot), Element::f32, 1, all.width()));
    if (number.empty()) {
      KEDGE_TRY(number, of.external(Element::i32, 1));
    }
    KEDGE_TRY(const Tensor rows, of.state(all));
    KEDGE_TRY(const Tensor row, outside ? of.external(Element::f32, all.width())
                                        : of.activation(Element::f32, all.width()));
    KEDGE_CHECK(of.add<op::RowLookup>({number, rows, row}));
    return row;
  };
  KEDGE_TRY(const Tensor h, row_of(graph, block.hidden, false));
  if (c.rank > 0) {
    KEDGE_TRY(previous, graph.external(Element::i32, 1));
    KEDGE_TRY(e, builder.is_embedding() ? graph.kept(Element::f32, c.rank)
                                        : graph.activation(Element::f32, c.rank));
    KEDGE_CHECK(graph.add<op::RowLookup>({previous, w.w1, e}));
    KEDGE_TRY(z, builder.bias(e, h));
  }
  if (has_confidence) {
    KEDGE_TRY(confidence, graph.external(Element::f32, 1));
    KEDGE_CHECK(graph.add<op::Confidence>(
        {h, c.confidence_with_markov ? e : Tensor(), w.confidence, w.confidence_bias, confidence}));
  }
  // On the CPU the product has a plan of its own, and what precedes it is too little for more than
  // one worker, unless it has a product too.
  const bool split = site.device == nullptr && !z.empty();
  if (split) {
    KEDGE_TRY(const Cpu alone, Cpu::create({site.cpu.isa(), nullptr}));
    const bool small = w.projection.bytes() <= alone_bytes;
    KEDGE_TRY(Plan first, Plan::compile(graph, small ? alone : site.cpu, site.allocator));
    s.z = first.locate(z);
    s.previous = first.locate(previous);
    if (!confidence.empty()) s.confidence = first.locate(confidence);
    s.plans.push_back(std::move(first));
    if (!guesses) return s;
    KEDGE_TRY(z, second.state(s.z));
  }
  Graph& last = split ? second : graph;
  Tensor logits;
  if (!z.empty() && guesses) {
    KEDGE_TRY(logits, row_of(last, block.logits, true));
    Builder products(last, model, state);
    const bool in_pieces = site.device == nullptr && w.w2.bytes() / site.cpu.workers() > kept_bytes;
    KEDGE_CHECK(products.correct(z, logits, in_pieces, slot % 2 == 1));
    KEDGE_TRY(choice, add_argmax(last, logits));
  }
  KEDGE_TRY(Plan plan, site.compile(last));
  if (!split && !previous.empty()) s.previous = plan.locate(previous);
  if (!split && !confidence.empty()) s.confidence = plan.locate(confidence);
  if (!choice.empty()) s.choice = plan.locate(choice);
  if (!number.empty()) *plan.locate(number).as<std::int32_t>() = static_cast<std::int32_t>(slot);
  if (!logits.empty() && apart(block.logits)) s.corrected = plan.locate(logits);
  s.plans.push_back(std::move(plan));
  return s;
}

Result<MarkovHead> MarkovHead::create(const DsparkModel& model, const Site& site,
                                      const BlockValues& block) noexcept {
  return io::guarded("markov head", [&]() -> Result<MarkovHead> {
    const DsparkConfig& c = model.config();
    MarkovHead head;
    head.first_slot_ = c.first_slot();
    head.confidence_ = c.confidence;
    if (c.rank > 0 && c.head == op::MarkovBias::rnn) {
      const Allocator memory =
          site.device == nullptr ? site.allocator : site.device->memory(DeviceMemory::shared);
      KEDGE_TRY(head.state_, Buffer::zeroed(static_cast<std::size_t>(c.rank) * sizeof(float),
                                            "markov state", memory));
    }
    if (const Tensor& reach = model.weights().reach; !reach.empty()) {
      KEDGE_TRY(head.quick_, MarkovChoice::create(model.weights().w2, reach.as<float>(), site.cpu,
                                                  site.allocator));
    }
    head.slots_.resize(static_cast<std::size_t>(c.block));
    for (std::int64_t slot = 0; slot < c.block; ++slot) {
      // Only an rnn has a use for a slot that guesses nothing.
      if (slot < c.first_slot() && head.state_.data() == nullptr) continue;
      KEDGE_TRY(head.slots_[static_cast<std::size_t>(slot)], head.build(model, site, block, slot));
    }
    return head;
  });
}

Status MarkovHead::begin(std::int32_t anchor) noexcept {
  if (state_.data() == nullptr) return {};
  std::memset(state_.data(), 0, state_.size());
  for (std::int64_t slot = 0; slot < first_slot_; ++slot) {
    Slot& s = slots_[static_cast<std::size_t>(slot)];
    *s.previous.as<std::int32_t>() = anchor;
    for (Plan& plan : s.plans) KEDGE_CHECK(plan.run(1, 0));
  }
  return {};
}

Result<MarkovHead::Step> MarkovHead::step(std::int64_t slot, std::int32_t previous,
                                          bool logits_wanted) noexcept {
  Slot& s = slots_[static_cast<std::size_t>(slot)];
  if (!s.previous.empty()) *s.previous.as<std::int32_t>() = previous;
  const auto found = [&](std::int32_t choice) {
    return Step{choice, confidence_ ? *s.confidence.as<float>() : Draft::unknown};
  };
  for (std::size_t i = 0; i < s.plans.size(); ++i) {
    if (i == 1 && !logits_wanted && quick_.possible()) {
      const std::int32_t choice = quick_.choose(s.z, s.logits, *s.largest);
      if (choice != MarkovChoice::unknown) return found(choice);
    }
    KEDGE_CHECK(s.plans[i].run(1, 1));
  }
  if (!s.corrected.empty()) std::memcpy(s.logits, s.corrected.data, s.corrected.bytes());
  return found(s.choice.empty() ? *s.largest : *s.choice.as<std::int32_t>());
}

std::size_t MarkovHead::bytes() const noexcept {
  std::size_t sum = state_.size() + quick_.bytes();
  for (const Slot& s : slots_)
    for (const Plan& plan : s.plans) sum += plan.bytes();
  return sum;
}

}  // namespace kedge::inline KEDGE_ABI::draft
