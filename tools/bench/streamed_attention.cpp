// Attention over a long text, the caches of several layers taking turns, as in a model's step.
#include <cmath>
#include <cstring>

#include "bench/streamed.hpp"
#include "cases/case.hpp"
#include "common/failure.hpp"
#include "kedge/backend/reference.hpp"
#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/cpu/kv_store.hpp"
#include "kedge/kernel/ref/attention.hpp"

namespace kedge::tools {

namespace {

constexpr double allowed = 5e-6;  // as in tests/cases/attention.hpp

struct Rows {
  op::Attention::Args args;
  std::int64_t rows;
};

Tensor positions(cases::Workspace& w, std::int64_t first, std::int64_t count) {
  const Tensor t = w.make(Element::i32, count);
  for (std::int64_t r = 0; r < count; ++r)
    t.as<std::int32_t>()[r] = static_cast<std::int32_t>(first + r);
  return t;
}
Tensor zeros(cases::Workspace& w, std::int64_t count) {
  const Tensor t = w.make(Element::i32, count);
  std::memset(t.data, 0, t.bytes());
  return t;
}

// Row r as a call of its own, with memory for its result.
op::Attention::Args row_of(cases::Workspace& w, op::Attention::Args a, std::int64_t r) {
  const auto cut = [r](Tensor t) {
    t.data = t.row<std::byte>(r);
    t.extent[0] = 1;
    return t;
  };
  a.q = cut(a.q);
  a.position.data += r * static_cast<std::int64_t>(sizeof(std::int32_t));
  a.position.extent[0] = 1;
  a.sequence.extent[0] = 1;
  a.tiles = w.make(Element::i32, 2, 4);
  must(op::fill_attention_tiles(a.position.as<std::int32_t>(), a.sequence.as<std::int32_t>(), 1,
                                a.tiles));
  a.y = w.make(Element::f32, 1, a.q.width());
  a.scratch = {};
  must(op::Attention::infer(a));
  a.scratch.data = w.allocate(a.scratch.bytes());
  return a;
}

}  // namespace

Curve stream_attention(const StreamedOptions& o, Element cache, std::int32_t head_dim, cpu::Isa isa,
                       Executor& executor, Machine& machine) {
  Curve curve;
  curve.op = "attention";
  curve.name = fmt::format("{} {}/{} heads of {}, {} keys", to_string(cache), o.heads, o.kv_heads,
                           head_dim, o.keys);
  curve.isa = isa;
  curve.family = family_of(isa, Element::f32);
  curve.widths = o.widths.empty() ? std::vector<std::int64_t>{1, 8} : o.widths;

  cases::Workspace work(1);
  const Cpu cpu = must(Cpu::create({isa, &executor}));
  const std::int64_t pages = (o.keys + page_positions - 1) / page_positions;
  const KvPageLayout layout{cache, o.kv_heads, head_dim, 1};
  const std::size_t bytes = layout.pool_bytes(pages);
  const auto operands = std::max<std::size_t>(
      2, (static_cast<std::size_t>(o.rotation_mib) * 1048576 + bytes - 1) / bytes);
  const Buffer pool = must(Buffer::create(bytes * operands, "bench caches"));
  // Backwards: pages that were in use stand in no order that a prefetcher could follow.
  const Tensor table = work.make(Element::i32, 1, pages);
  for (std::int64_t i = 0; i < pages; ++i)
    table.as<std::int32_t>()[i] = static_cast<std::int32_t>(pages - 1 - i);
  {
    cases::Workspace filling(2);
    op::KvStore::Args store;
    store.kv_heads = o.kv_heads;
    store.head_dim = head_dim;
    store.pages = table;
    store.cache = layout.cache(pool.data(), pages, 0);
    const std::int64_t width = std::int64_t{o.kv_heads} * head_dim;
    store.k = filling.random(2, 1.0f, o.keys, width);
    store.v = filling.random(3, 1.0f, o.keys, width);
    store.position = positions(filling, 0, o.keys);
    store.sequence = zeros(filling, o.keys);
    std::memset(pool.data(), 0, bytes);
    must(cpu.run<op::KvStore>(store, o.keys));
  }
  for (std::size_t i = 1; i < operands; ++i)
    std::memcpy(pool.data() + i * bytes, pool.data(), bytes);

  std::vector<Rows> calls;
  for (const std::int64_t rows : curve.widths) {
    if (rows > o.keys) bad_usage("--rows", "{} rows are more than {} keys", rows, o.keys);
    op::Attention::Args a;
    a.heads = o.heads;
    a.kv_heads = o.kv_heads;
    a.head_dim = head_dim;
    a.q = work.random(1, 1.0f, rows, o.heads * head_dim);
    a.position = positions(work, o.keys - rows, rows);
    a.sequence = zeros(work, rows);
    a.pages = table;
    a.cache = layout.cache(pool.data(), pages, 0);
    a.tiles = work.make(Element::i32, 1 + rows, 4);
    must(op::fill_attention_tiles(a.position.as<std::int32_t>(), a.sequence.as<std::int32_t>(),
                                  rows, a.tiles));
    must(op::Attention::infer(a));
    a.scratch.data = work.allocate(a.scratch.bytes());
    a.y.data = work.allocate(a.y.bytes());
    calls.push_back({a, rows});
    double multiply_adds = 0;  // a score and a weighted value for each key that the row sees
    for (std::int64_t r = 0; r < rows; ++r)
      multiply_adds += 2.0 * o.heads * head_dim * static_cast<double>(o.keys - rows + r + 1);
    curve.multiply_adds.push_back(multiply_adds);
    curve.call_bytes.push_back(static_cast<double>(bytes));
  }
  curve.bytes = static_cast<double>(bytes);
  const auto call = [&](std::size_t operand, std::int64_t rows) {
    for (Rows& c : calls)
      if (c.rows == rows) {
        c.args.cache = layout.cache(pool.data() + operand * bytes, pages, 0);
        must(cpu.run<op::Attention>(c.args, rows));
      }
  };
  // Verified before it is timed: every row against a call of its own, bytes being equal whatever
  // the width, and two of the widest call's against the reference, which takes seconds for each.
  for (const Rows& c : calls) {
    call(1, c.rows);
    for (std::int64_t r = 0; r < c.rows; ++r) {
      op::Attention::Args one = row_of(work, c.args, r);
      one.cache = layout.cache(pool.data(), pages, 0);
      must(cpu.run<op::Attention>(one, 1));
      if (std::memcmp(one.y.data, c.args.y.row<std::byte>(r), one.y.bytes()) != 0)
        fail_with(Code::numeric, "bench attention",
                  "{}, {}: row {} of {} has other bytes than alone", curve.name, to_string(isa), r,
                  c.rows);
      if (c.rows != *std::max_element(curve.widths.begin(), curve.widths.end()) ||
          (r != 0 && r + 1 != c.rows))
        continue;
      op::Attention::Args expected = row_of(work, c.args, r);
      must(Reference::run<op::Attention>(expected));
      double worst = 0, largest = 0;
      for (std::int64_t i = 0; i < one.y.width(); ++i) {
        const double e = expected.y.row<float>(0)[i], found = one.y.row<float>(0)[i];
        if (!(std::fabs(found - e) <= worst)) worst = std::fabs(found - e);
        largest = std::fmax(largest, std::fabs(e));
      }
      if (!(worst / largest <= curve.difference)) curve.difference = worst / largest;
    }
  }
  if (!(curve.difference <= allowed))
    fail_with(Code::numeric, "bench attention", "{}, {}: {:.3g} from the reference, at most {:.3g}",
              curve.name, to_string(isa), curve.difference, allowed);
  take_curve(curve, machine, operands, o.repetitions, 9, call);
  return curve;
}

}  // namespace kedge::tools
