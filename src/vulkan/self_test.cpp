// Known answers, asked for before a plan is made that uses an operator whose kernels choose by the
// device's features: some drivers claim features that they get wrong, and garbage is worse than the
// slower variant. Reductions by subgroup shuffles are tried first; a device whose answer is wrong
// loses that feature, and one that is wrong without it, too, is refused. A question has few rows
// and the constants of the plan's own node, so that the pipelines that it compiles are used
// afterwards.
#include <array>
#include <cstring>

#include "kedge/backend/reference.hpp"
#include "kedge/graph/graph.hpp"
#include "kedge/kernel/ref/attention.hpp"
#include "kedge/kernel/ref/bounded_attention.hpp"
#include "kedge/kernel/ref/confidence.hpp"
#include "kedge/kernel/ref/gated_delta.hpp"
#include "kedge/kernel/ref/gated_rms_norm.hpp"
#include "kedge/kernel/ref/matmul.hpp"
#include "kedge/kernel/ref/rms_norm.hpp"
#include "run.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

namespace {

using Key = Device::TestKey;

// Memory of one question, full of numbers without a pattern that a wrong lane could repeat.
class Paper {
 public:
  Tensor make(Element element, std::int64_t rows, std::int64_t width) {
    return place(tensor(nullptr, element, rows, width));
  }
  Tensor place(Tensor t) {
    parts_.emplace_back(t.bytes() / sizeof(std::uint64_t) + 2);
    t.data = reinterpret_cast<std::byte*>(parts_.back().data());
    return t;
  }
  Tensor numbers(std::int64_t rows, std::int64_t width, float low = -1, float high = 1) {
    return fill(make(Element::f32, rows, width), low, high);
  }
  Tensor list(std::int64_t width) {
    return fill(place(tensor(nullptr, Element::f32, width)), -1, 1);
  }
  // Any bytes of these are finite numbers of every format, and so is what blocks make of them.
  Tensor stored(Tensor t, std::size_t bytes) {
    parts_.emplace_back(bytes / sizeof(std::uint64_t) + 2);
    t.data = reinterpret_cast<std::byte*>(parts_.back().data());
    for (std::size_t i = 0; i < bytes; ++i) t.data[i] = std::byte(0x2C + (next() >> 13) % 16);
    return t;
  }
  Tensor integers(std::initializer_list<std::int32_t> values) {
    const Tensor t = place(tensor(nullptr, Element::i32, static_cast<std::int64_t>(values.size())));
    std::copy(values.begin(), values.end(), t.as<std::int32_t>());
    return t;
  }

 private:
  std::uint32_t next() noexcept { return bits_ = bits_ * 1664525u + 1013904223u; }
  Tensor fill(const Tensor& t, float low, float high) noexcept {
    for (std::int64_t i = 0; i < t.rows() * t.width(); ++i)
      t.as<float>()[i] = low + (high - low) * static_cast<float>(next() >> 8) * 0x1p-24f;
    return t;
  }
  std::vector<std::vector<std::uint64_t>> parts_;
  std::uint32_t bits_ = 1;
};

Status expect(const char* op, const Tensor& found, const Tensor& expected) noexcept {
  double error = 0, total = 0;
  for (std::int64_t i = 0; i < found.rows() * found.width(); ++i) {
    const double e = expected.as<float>()[i], d = found.as<float>()[i] - e;
    error += d * d;
    total += e * e;
  }
  // Written so that a NaN fails.
  if (error <= 1e-9 * total) return {};
  return fail(Code::device, op, "a known answer came out wrong: squared error %g of %g", error,
              total);
}

template <class Op>
struct Collect {
  const typename Op::Args& args;
  Arguments& list;
  void tensor(const char* name, Tensor Op::Args::*member, op::Role role,
              const char*) const noexcept {
    const Tensor& t = args.*member;
    if (t.empty()) return;
    std::uint64_t bytes = t.bytes();
    if constexpr (requires { Op::cache_bytes(args); })
      if (member == &Op::Args::cache) bytes = Op::cache_bytes(args);
    list.item[list.count++] = {name, t, role, bytes};
  }
  template <class T>
  void setting(const char*, T Op::Args::*, const char*) const noexcept {}
};

// Runs the device's kernel and the reference, which must agree about y.
template <class Op>
Status ask(Device& device, const PlanKernel& kernel, Paper& paper, typename Op::Args args,
           std::int64_t rows) {
  KEDGE_CHECK(Op::infer(args));
  const Tensor expected = paper.place(args.y);
  if constexpr (requires { args.scratch; }) args.scratch = paper.place(args.scratch);
  args.y = expected;
  KEDGE_CHECK(Reference::run<Op>(args));
  args.y = paper.place(args.y);
  Arguments list;
  Op::fields(Collect<Op>{args, list});
  KEDGE_CHECK(run_operator(device, Op::name, list, kernel.record, &args, rows));
  return expect(Op::name, args.y, expected);
}

constexpr std::int64_t width = 100;

Key key_of(const op::RmsNorm::Args&) { return {}; }
op::RmsNorm::Args question(Paper& p, const op::RmsNorm::Args& a) {
  return {p.numbers(2, width), p.list(width), {}, a.eps};
}

Key key_of(const op::GatedRmsNorm::Args& a) { return {a.weight.width(), a.sigmoid}; }
op::GatedRmsNorm::Args question(Paper& p, const op::GatedRmsNorm::Args& a) {
  const std::int64_t dim = a.weight.width();
  return {p.numbers(2, dim), p.numbers(2, dim), p.list(dim), {}, a.eps, a.sigmoid};
}

Key key_of(const op::Confidence::Args&) { return {}; }
op::Confidence::Args question(Paper& p, const op::Confidence::Args&) {
  return {p.numbers(2, width), {}, p.list(width), {}, {}};
}

// One row of enough outputs that a lane has as many as it ever has, wide enough for every format.
Key key_of(const op::Matmul::Args& a) { return {static_cast<int>(a.weight.element)}; }
op::Matmul::Args question(Paper& p, const op::Matmul::Args& a) {
  const Tensor weight = tensor(nullptr, a.weight.element, 130, 256);
  return {p.numbers(1, 256), p.stored(weight, weight.bytes()), {}, {}};
}

// Two heads over one of keys; two pages, the second one begun.
Key key_of(const op::Attention::Args& a) {
  return {static_cast<int>(a.cache.element), a.head_dim, !a.parent.empty()};
}
op::Attention::Args question(Paper& p, const op::Attention::Args& like) {
  op::Attention::Args a;
  a.heads = 2;
  a.kv_heads = 1;
  a.head_dim = like.head_dim;
  const KvPageLayout layout{like.cache.element, 1, a.head_dim, 1};
  a.q = p.numbers(2, 2 * a.head_dim);
  a.position = p.integers({69, 70});
  a.sequence = p.integers({0, 0});
  a.pages = p.integers({1, 0});
  a.pages.rank = 2;
  a.pages.extent[0] = 1;
  a.pages.extent[1] = 2;
  a.cache = layout.cache(p.stored({}, layout.pool_bytes(2)).data, 2, 0);
  a.tiles = p.make(Element::i32, 3, 4);
  if (!like.parent.empty()) {
    a.slot = p.integers({69, 70});
    a.parent = p.integers({-1, 0});
  }
  if (!like.first.empty()) a.first = p.integers({0, 5});
  (void)op::fill_attention_tiles(a.position.as<std::int32_t>(), a.sequence.as<std::int32_t>(), 2,
                                 a.tiles, a.slot.as<std::int32_t>());
  return a;
}

// One head, a state that comes in, and two rows.
Key key_of(const op::GatedDelta::Args& a) {
  return {a.key_dim, a.value_dim, op::GatedDelta::channel_decay(a), a.l2_max + 2 * a.grouped};
}
op::GatedDelta::Args question(Paper& p, const op::GatedDelta::Args& like) {
  op::GatedDelta::Args a = like;
  a.scratch = a.y = a.records = {};
  a.key_heads = a.value_heads = 1;
  a.record_slots = 0;
  a.x = p.numbers(2, 2 * a.key_dim + a.value_dim);
  a.decay = p.numbers(2, op::GatedDelta::channel_decay(like) ? a.key_dim : 1, -0.2f, 0);
  a.beta = p.numbers(2, 1, 0, 1);
  a.runs = p.make(Element::i32, 2, 12);
  a.steps = p.make(Element::i32, 2, 4);
  a.state = p.numbers(1, op::GatedDelta::head_state(a), -0.1f, 0.1f);
  op::begin_recurrent_runs(a.runs);
  op::RecurrentRun run;
  run.rows = 2;
  run.plane = 0;
  (void)op::add_recurrent_run(a.runs, a.steps, run);
  return a;
}

struct Test {
  const char* op;
  Key (*key)(const void* args);
  Status (*ask)(Device& device, const PlanKernel& kernel, const void* args);
};
template <class Op>
constexpr Test test_of = {
    Op::name, [](const void* args) { return key_of(*static_cast<const typename Op::Args*>(args)); },
    [](Device& device, const PlanKernel& kernel, const void* args) -> Status {
      Paper paper;
      const auto a = question(paper, *static_cast<const typename Op::Args*>(args));
      std::int64_t rows = 0;
      if constexpr (requires { a.h; }) rows = a.h.rows();
      else if constexpr (requires { a.q; }) rows = a.q.rows();
      else rows = a.x.rows();
      return ask<Op>(device, kernel, paper, a, rows);
    }};

constexpr Test tests[] = {test_of<op::RmsNorm>,    test_of<op::GatedRmsNorm>,
                          test_of<op::Confidence>, test_of<op::Matmul>,
                          test_of<op::Attention>,  test_of<op::BoundedAttention>,
                          test_of<op::GatedDelta>};

}  // namespace

Status Device::self_test(std::span<const PlanNode> nodes) {
  const auto known_answers = [&]() -> Status {
    for (const PlanNode& node : nodes)
      for (const Test& test : tests) {
        if (std::strcmp(test.op, node.table->name) != 0) continue;
        const PlanKernel* const asked = kernel(test.op);
        if (asked == nullptr) continue;  // which the plan refuses
        const auto key = std::pair(asked->record, test.key(node.args));
        if (tested_.contains(key)) continue;
        KEDGE_CHECK(test.ask(*this, *asked, node.args));
        tested_.insert(key);
      }
    return {};
  };
  const Status answers = known_answers();
  if (answers || answers.error().code != Code::device || lost_ || !limits.subgroup_shuffle)
    return answers;
  limits.subgroup_shuffle = false;
  tested_.clear();
  return known_answers();
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
