// Compiling a graph: lives of values, places in the arena, arguments, phases and barriers.
#include "kedge/graph/plan.hpp"

#include <algorithm>
#include <new>

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr std::size_t round_up(std::size_t n, std::size_t step) {
  return (n + step - 1) / step * step;
}

struct Life {
  std::size_t first = SIZE_MAX, last = 0;  // nodes that touch the value
  std::size_t offset = 0;
};

// First fit: the lowest place that no value alive at the same time overlaps. Graphs have hundreds
// of values, so the quadratic search costs nothing beside packing the weights.
std::size_t place_values(std::vector<Life>& lives, const std::vector<std::size_t>& bytes,
                         std::size_t step) {
  std::size_t total = 0;
  std::vector<std::size_t> placed;
  for (std::size_t v = 0; v < lives.size(); ++v) {
    if (bytes[v] == 0) continue;
    std::vector<std::pair<std::size_t, std::size_t>> taken;
    for (const std::size_t other : placed)
      if (lives[other].first <= lives[v].last && lives[v].first <= lives[other].last)
        taken.emplace_back(lives[other].offset, lives[other].offset + round_up(bytes[other], step));
    std::sort(taken.begin(), taken.end());
    std::size_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + round_up(bytes[v], step) <= begin) break;
      offset = std::max(offset, end);
    }
    lives[v].offset = offset;
    placed.push_back(v);
    total = std::max(total, offset + round_up(bytes[v], step));
  }
  return total;
}

struct Range {
  const std::byte *begin, *end;
  bool overlaps(const Range& other) const { return begin < other.end && other.begin < end; }
};

// Memory touched since the last barrier.
class Hazards {
 public:
  bool conflicts(const Range& range, bool writes) const {
    const auto hit = [&](const Range& r) { return r.overlaps(range); };
    return std::any_of(written_.begin(), written_.end(), hit) ||
           (writes && std::any_of(read_.begin(), read_.end(), hit));
  }
  void note(const Range& range, bool writes) { (writes ? written_ : read_).push_back(range); }
  void clear() {
    read_.clear();
    written_.clear();
  }

 private:
  std::vector<Range> read_, written_;
};

bool writes(op::Role role) { return role != op::Role::input; }

}  // namespace

bool Plan::is_shared(const Graph& graph, std::size_t value, bool accelerator) noexcept {
  const Graph::Value& v = graph.values_[value];
  return accelerator && v.place == Graph::Place::host;
}

Plan::Places Plan::lay_out(const Graph& graph, bool accelerator) {
  const std::size_t step = accelerator ? device_alignment : Buffer::alignment;
  Places places;
  std::vector<Life> lives(graph.values_.size());
  for (std::size_t n = 0; n < graph.nodes_.size(); ++n) {
    struct Context {
      std::vector<Life>& lives;
      std::size_t node;
    } context{lives, n};
    // The visitor only reads.
    graph.nodes_[n].table->tensors(
        const_cast<std::byte*>(graph.args_.data() + graph.nodes_[n].args),
        [](void* c, Tensor& t, op::Role) {
          if (t.value == 0) return;
          auto& [all, node] = *static_cast<Context*>(c);
          Life& life = all[t.value - 1];
          life.first = std::min(life.first, node);
          life.last = std::max(life.last, node);
        },
        &context);
  }
  std::vector<std::size_t> bytes(graph.values_.size());
  for (std::size_t v = 0; v < bytes.size(); ++v) {
    const Graph::Value& value = graph.values_[v];
    const bool shared = is_shared(graph, v, accelerator);
    bytes[v] = value.data != nullptr || shared ? 0 : value.bytes;
    if (shared) {
      lives[v].offset = places.shared;
      places.shared += round_up(value.bytes, step);
    }
    if (value.place != Graph::Place::shared_with_values || lives[v].first == SIZE_MAX) {
      lives[v].first = 0;
      lives[v].last = graph.nodes_.size();
    }
  }
  places.arena = place_values(lives, bytes, step);
  for (const Life& life : lives) places.offset.push_back(life.offset);
  return places;
}

Result<std::size_t> Plan::bytes_needed(const Graph& graph, bool accelerator) noexcept try {
  const Places places = lay_out(graph, accelerator);
  return places.arena + places.shared + graph.args_.size();
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "plan", "no memory to lay out %zu nodes", graph.nodes_.size());
}

Result<Plan> Plan::compile(const Graph& graph, const Cpu& cpu, const Allocator& allocator) noexcept
    try {
  Plan plan;
  plan.cpu_ = cpu;
  plan.max_rows_ = graph.max_rows_;
  plan.max_outputs_ = graph.max_outputs_;

  KEDGE_TRY(plan.args_, Buffer::create(graph.args_.size(), "plan arguments", allocator));
  if (!graph.args_.empty()) std::memcpy(plan.args_.data(), graph.args_.data(), graph.args_.size());
  const auto args = [&](const Graph::Node& node) { return plan.args_.data() + node.args; };

  // Places
  const Places places = lay_out(graph, false);
  KEDGE_TRY(plan.arena_, Buffer::zeroed(places.arena, "activations", allocator));
  for (std::size_t v = 0; v < places.offset.size(); ++v)
    plan.place_.push_back(graph.values_[v].data != nullptr ? graph.values_[v].data
                                                           : plan.arena_.data() + places.offset[v]);

  // Arguments, phases, barriers
  Hazards hazards;
  plan.outputs_begin_ = SIZE_MAX;
  for (const Graph::Node& node : graph.nodes_) {
    struct Context {
      const Plan& plan;
      Hazards& hazards;
      bool barrier = false;
    } context{plan, hazards};
    node.table->tensors(
        args(node),
        [](void* c, Tensor& t, op::Role role) {
          auto& self = *static_cast<Context*>(c);
          if (t.value == 0) return;
          t.data = self.plan.place_[t.value - 1];
          if (self.hazards.conflicts({t.data, t.data + t.bytes()}, writes(role)))
            self.barrier = true;
        },
        &context);
    KEDGE_TRY(cpu::PhaseList list, node.table->cpu_phases(cpu.isa(), args(node)));
    if (node.outputs && plan.outputs_begin_ == SIZE_MAX) {
      plan.outputs_begin_ = plan.phases_.size();
      context.barrier = true;
    }
    if (context.barrier || list.count > 1) hazards.clear();
    for (int i = 0; i < list.count; ++i) {
      cpu::Phase phase = list.item[i];
      phase.args = args(node);
      phase.op = node.table->name;
      phase.part = i;
      phase.barrier = i == 0 ? context.barrier : true;
      plan.phases_.push_back(phase);
    }
    node.table->tensors(
        args(node),
        [](void* c, Tensor& t, op::Role role) {
          auto& self = *static_cast<Context*>(c);
          if (t.value != 0) self.hazards.note({t.data, t.data + t.bytes()}, writes(role));
        },
        &context);
  }
  if (plan.outputs_begin_ == SIZE_MAX) plan.outputs_begin_ = plan.phases_.size();
  return plan;
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "plan", "no memory to compile %zu nodes", graph.nodes_.size());
}

Result<Plan> Plan::compile(const Graph& graph, Accelerator& accelerator,
                           const Allocator& allocator) noexcept try {
  Plan plan;
  plan.max_rows_ = graph.max_rows_;
  plan.max_outputs_ = graph.max_outputs_;
  KEDGE_TRY(plan.args_, Buffer::create(graph.args_.size(), "plan arguments", allocator));
  if (!graph.args_.empty()) std::memcpy(plan.args_.data(), graph.args_.data(), graph.args_.size());

  const Places places = lay_out(graph, true);
  KEDGE_CHECK(accelerator.expect_room(places.arena + places.shared, "activations"));
  KEDGE_TRY(plan.arena_, Buffer::create(places.arena, "activations",
                                        accelerator.memory(DeviceMemory::activations)));
  KEDGE_TRY(plan.shared_, Buffer::zeroed(places.shared, "inputs and outputs of a pass",
                                         accelerator.memory(DeviceMemory::shared)));
  for (std::size_t v = 0; v < places.offset.size(); ++v)
    plan.place_.push_back(graph.values_[v].data != nullptr ? graph.values_[v].data
                          : is_shared(graph, v, true)      ? plan.shared_.data() + places.offset[v]
                                                           : plan.arena_.data() + places.offset[v]);

  std::vector<PlanNode> nodes;
  for (const Graph::Node& node : graph.nodes_) {
    nodes.push_back({node.table, plan.args_.data() + node.args, node.outputs});
    node.table->tensors(
        nodes.back().args,
        [](void* p, Tensor& t, op::Role) {
          if (t.value != 0) t.data = static_cast<const Plan*>(p)->place_[t.value - 1];
        },
        &plan);
  }
  // What a pass of verification has: a row for each output at most.
  KEDGE_TRY(plan.remote_,
            accelerator.compile(nodes, {graph.max_rows_, graph.max_outputs_,
                                        std::min(graph.max_rows_, graph.max_outputs_)}));
  return plan;
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "plan", "no memory to compile %zu nodes", graph.nodes_.size());
}

Status Plan::run(std::int64_t rows, std::int64_t outputs,
                 const std::atomic<bool>* cancel) noexcept {
  if (rows < 1 || rows > max_rows_)
    return fail(Code::invalid_argument, "plan", "rows: expected 1..%lld, found %lld",
                static_cast<long long>(max_rows_), static_cast<long long>(rows));
  if (outputs < 0 || outputs > max_outputs_)
    return fail(Code::invalid_argument, "plan", "outputs: expected 0..%lld, found %lld",
                static_cast<long long>(max_outputs_), static_cast<long long>(outputs));
  if (remote_ != nullptr) return remote_->run(rows, outputs, cancel);
  return cpu_.run(phases_, outputs_begin_, {rows, outputs}, cancel);
}

Tensor Plan::locate(Tensor value) const noexcept {
  if (value.value != 0) value.data = place_[value.value - 1];
  return value;
}

std::size_t Plan::barriers() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(phases_.begin(), phases_.end(), [](const auto& p) { return p.barrier; }));
}

}  // namespace kedge::inline KEDGE_ABI
