// kedge bench device: operators of a device, one call behind the other in a plan as models have
// them, each with weights or states of its own; what it copies in a second; and what handing a plan
// over costs the host. scripts/verify vulkan-speed and vulkan-gpu compare these with others.
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bench/bench.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/output.hpp"
#include "kedge/graph/plan.hpp"
#include "kedge/kernel/cpu/add.hpp"
#include "kedge/kernel/cpu/attention.hpp"
#include "kedge/kernel/cpu/gated_delta.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/place_columns.hpp"

namespace kedge::tools {

namespace {

struct Options {
  std::vector<std::int64_t> rows = {1, 8};
  std::int64_t calls = 8, rounds = 5, copy_mb = 32;
  std::vector<std::int64_t> keys = {512};
  std::string json;
  MachineOptions machine;
};

class Bench {
 public:
  explicit Bench(std::shared_ptr<Accelerator> device, std::int64_t rounds)
      : device_(std::move(device)), rounds_(rounds) {}

  // Finite numbers whatever the format, as blocks' scales, too.
  Tensor make(DeviceMemory use, Tensor t, std::size_t bytes) {
    std::vector<std::byte> data(bytes);
    for (std::byte& b : data)
      b = std::byte(0x2C + ((bits_ = bits_ * 1664525u + 1013904223u) >> 13) % 16);
    t.data = keep(use, bytes).data();
    must(device_->write(t.data, data.data(), bytes));
    return t;
  }
  Tensor make(DeviceMemory use, Tensor t) { return make(use, t, t.bytes()); }
  // Small integers that the host fills.
  Tensor table(std::int64_t rows, std::int64_t width) {
    Tensor t = rows == 0 ? tensor(nullptr, Element::i32, width)
                         : tensor(nullptr, Element::i32, rows, width);
    t.data = keep(DeviceMemory::shared, t.bytes()).data();
    std::memset(t.data, 0, t.bytes());
    return t;
  }
  // Memory that nobody fills.
  Tensor room(Tensor t) {
    t.data = keep(DeviceMemory::activations, t.bytes()).data();
    return t;
  }

  // Microseconds of one of `calls` in a pass, the median over rounds; and those of handing it over.
  struct Time {
    double pass, submit;
  };
  Time time(const Graph& graph, std::int64_t rows, std::int64_t calls) {
    Plan plan = must(Plan::compile(graph, *device_));
    AcceleratorPlan& remote = *plan.accelerated();
    std::vector<double> all, host;
    for (std::int64_t i = 0; i <= rounds_; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const std::uint64_t ticket = must(remote.submit(rows, 0));
      const auto handed = std::chrono::steady_clock::now();
      must(remote.wait(ticket));
      const auto end = std::chrono::steady_clock::now();
      if (i == 0) continue;  // a driver may compile then
      const auto us = [](auto d) { return std::chrono::duration<double, std::micro>(d).count(); };
      all.push_back(us(end - start) / static_cast<double>(calls));
      host.push_back(us(handed - start));
    }
    memory_.clear();
    return {median(all), median(host)};
  }

 private:
  Buffer& keep(DeviceMemory use, std::size_t bytes) {
    memory_.push_back(must(Buffer::create(bytes, "bench device", device_->memory(use))));
    return memory_.back();
  }

  std::shared_ptr<Accelerator> device_;
  std::int64_t rounds_;
  std::vector<Buffer> memory_;
  std::uint32_t bits_ = 1;
};

Graph graph_of(std::int64_t rows) { return Graph(rows, 1, Graph::Activations::floats); }
Tensor floats(std::int64_t rows, std::int64_t width) {
  return tensor(nullptr, Element::f32, rows, width);
}

double product(Bench& b, const Options& o, Element element, std::int64_t outputs,
               std::int64_t width, std::int64_t rows) {
  Graph g = graph_of(rows);
  for (std::int64_t i = 0; i < o.calls; ++i)
    must(g.add<op::Matmul>({must(g.state(b.make(DeviceMemory::activations, floats(rows, width)))),
                            b.make(DeviceMemory::weights, tensor(nullptr, element, outputs, width)),
                            {},
                            must(g.state(b.room(floats(rows, outputs))))}));
  return b.time(g, rows, o.calls).pass;
}

double attention(Bench& b, const Options& o, std::int32_t heads, std::int32_t kv_heads,
                 std::int32_t size, std::int64_t keys, std::int64_t rows) {
  Graph g = graph_of(rows);
  const std::int64_t pages = (keys + 63) / 64;
  const KvPageLayout layout{Element::f16, kv_heads, size, 1};
  for (std::int64_t i = 0; i < o.calls; ++i) {
    op::Attention::Args a;
    a.heads = heads;
    a.kv_heads = kv_heads;
    a.head_dim = size;
    a.position = b.table(0, rows);
    a.sequence = b.table(0, rows);
    a.pages = b.table(1, pages);
    a.tiles = b.table(1 + rows, 4);
    for (std::int64_t r = 0; r < rows; ++r)
      a.position.as<std::int32_t>()[r] = static_cast<std::int32_t>(keys - rows + r);
    for (std::int64_t p = 0; p < pages; ++p)
      a.pages.as<std::int32_t>()[p] = static_cast<std::int32_t>(p);
    must(op::fill_attention_tiles(a.position.as<std::int32_t>(), a.sequence.as<std::int32_t>(),
                                  rows, a.tiles));
    a.q = must(g.state(b.make(DeviceMemory::activations, floats(rows, heads * size))));
    a.cache = must(g.state(
        layout.cache(b.make(DeviceMemory::state, {}, layout.pool_bytes(pages)).data, pages, 0)));
    must(op::Attention::infer(a));
    a.scratch = must(g.state(b.room(a.scratch)));
    a.y = must(g.state(b.room(a.y)));
    must(g.add<op::Attention>(a));
  }
  return b.time(g, rows, o.calls).pass;
}

double gated_delta(Bench& b, const Options& o, std::int32_t heads, std::int32_t size,
                   std::int64_t rows) {
  using Op = op::GatedDelta;
  Graph g = graph_of(rows);
  for (std::int64_t i = 0; i < o.calls; ++i) {
    Op::Args a;
    a.key_heads = a.value_heads = heads;
    a.key_dim = a.value_dim = size;
    a.x = must(
        g.state(b.make(DeviceMemory::activations, floats(rows, 2 * Op::keys(a) + Op::values(a)))));
    a.decay = must(g.state(b.make(DeviceMemory::activations, floats(rows, heads))));
    a.beta = must(g.state(b.make(DeviceMemory::activations, floats(rows, heads))));
    a.runs = b.table(2, 12);
    a.steps = b.table(rows, 4);
    a.state = must(g.state(b.make(DeviceMemory::state, floats(2, heads * Op::head_state(a)))));
    op::begin_recurrent_runs(a.runs);
    op::RecurrentRun run;
    run.rows = static_cast<std::int32_t>(rows);
    run.plane = 0;
    must(op::add_recurrent_run(a.runs, a.steps, run));
    op::recurrent_step(a.steps, rows - 1).plane = 1;
    must(Op::infer(a));
    a.scratch = must(g.state(b.room(a.scratch)));
    a.y = must(g.state(b.room(a.y)));
    must(g.add<Op>(a));
  }
  return b.time(g, rows, o.calls).pass;
}

// Gigabytes a second, read and written, of a copy by a kernel.
double copied(Bench& b, std::int64_t megabytes) {
  const std::int64_t rows = 256, width = (megabytes << 20) / 4 / rows;
  Graph g = graph_of(rows);
  must(g.add<op::PlaceColumns>(
      {must(g.state(b.make(DeviceMemory::activations, floats(rows, width)))),
       must(g.state(b.make(DeviceMemory::activations, floats(rows, width)))), 0}));
  return 2.0 * 4e-3 * static_cast<double>(rows * width) / b.time(g, rows, 1).pass;
}

// Of a pass with as many dispatches as a model of 32 layers has, each behind the other.
double host_microseconds(Bench& b) {
  Graph g = graph_of(1);
  const Tensor x = must(g.state(b.make(DeviceMemory::activations, floats(1, 64))));
  const Tensor y = must(g.state(b.make(DeviceMemory::activations, floats(1, 64))));
  for (int i = 0; i < 400; ++i) must(g.add<op::Add>({x, y, y}));
  return b.time(g, 1, 1).submit;
}

int run(const Options& o) {
  const auto device = o.machine.accelerator();
  if (device == nullptr) fail_with(Code::invalid_argument, "--backend", "expected vulkan");
  Bench b(device, o.rounds);
  Table table;
  table.column("operator", Table::Align::left);
  table.column("us");
  nlohmann::json us = nlohmann::json::object();
  const auto note = [&](const std::string& name, double value) {
    table.row({name, fmt::format("{:.1f}", value)});
    us[name] = value;
  };
  for (const std::int64_t rows : o.rows) {
    note(fmt::format("product q4_0 576x576 rows={}", rows),
         product(b, o, Element::q4_0, 576, 576, rows));
    note(fmt::format("product q4_0 1536x576 rows={}", rows),
         product(b, o, Element::q4_0, 1536, 576, rows));
    for (const std::int64_t keys : o.keys)
      note(fmt::format("attention 9/3x64 keys={} rows={}", keys, rows),
           attention(b, o, 9, 3, 64, keys, rows));
    note(fmt::format("gated_delta 16x128x128 rows={}", rows), gated_delta(b, o, 16, 128, rows));
  }
  const double copy = copied(b, o.copy_mb), host = host_microseconds(b);
  std::FILE* const out = text_stream(o.json);
  fmt::print(out, "{}; {}; {} calls a pass\n", machine_name(), o.machine.backend_text(), o.calls);
  table.print(out);
  fmt::print(
      out,
      "copy: {:.1f} GB/s read and written; a pass of 400 dispatches costs the host {:.0f} us\n",
      copy, host);
  write_json(o.json, {{"machine", machine_name()},
                      {"device", o.machine.backend_text()},
                      {"microseconds", us},
                      {"copy_gb_per_s", copy},
                      {"host_us", host}});
  return 0;
}

}  // namespace

void add_bench_device(CLI::App& bench, Commands& commands) {
  CLI::App* app =
      bench.add_subcommand("device", "Operators of a device, its copies, its host's part");
  const auto o = std::make_shared<Options>();
  o->machine.backend = "vulkan";
  app->add_option("--rows", o->rows, "Rows of a pass")->delimiter(',')->check(CLI::Range(1, 256));
  app->add_option("--keys", o->keys, "Positions that attention sees")
      ->delimiter(',')
      ->check(CLI::Range(256, 1 << 20));
  app->add_option("--calls", o->calls, "Of an operator in a pass")->check(CLI::Range(1, 1024));
  app->add_option("--rounds", o->rounds, "Passes that are timed")->check(CLI::Range(1, 1000));
  app->add_option("--copy-mb", o->copy_mb, "What is copied to measure that")
      ->check(CLI::Range(1, 100));
  o->machine.add_backend(*app);
  app->add_option("--json", o->json, "Write the figures to this file; - is stdout");
  commands.push_back({app, [o] { return run(*o); }});
}

}  // namespace kedge::tools
