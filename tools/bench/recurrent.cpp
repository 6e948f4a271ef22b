// kedge bench recurrent: what a pass's recurrent operators take per layer, as a model runs them:
// layer after layer in one plan, each with planes of its own, so that states come from memory. The
// ways of keeping states take turns, so that their ratios hold on a busy machine.
#include <chrono>
#include <nlohmann/json.hpp>

#include "bench/bandwidth.hpp"
#include "bench/bench.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/output.hpp"
#include "kedge/backend/cpu.hpp"
#include "kedge/kernel/cpu/conv_state.hpp"
#include "kedge/kernel/cpu/gated_delta.hpp"

namespace kedge::tools {

namespace {

struct RecurrentArguments {
  std::int32_t heads = 32, key_heads = 16, key_dim = 128, value_dim = 128, layers = 24, rounds = 30;
  std::int32_t planes = 9, replayed = 4;
  std::vector<std::int64_t> rows = {1, 8, 64};
  std::string json;
  MachineOptions machine;
};

enum class Keep { last, all, replay, conv };

// Tensors of all layers; one allocation each.
class Memory {
 public:
  Tensor make(Element element, std::int64_t rows, std::int64_t width) {
    Tensor t = tensor(nullptr, element, rows, width);
    buffers_.push_back(must(Buffer::zeroed(t.bytes(), "bench recurrent")));
    t.data = buffers_.back().data();
    return t;
  }
  Tensor fill(std::int64_t rows, std::int64_t width, float low, float high) {
    Tensor t = make(Element::f32, rows, width);
    std::uint32_t bits = 1;
    for (std::int64_t i = 0; i < rows * width; ++i) {
      bits = bits * 1664525u + 1013904223u;
      t.as<float>()[i] = low + (high - low) * static_cast<float>(bits >> 8) * 0x1p-24f;
    }
    return t;
  }

 private:
  std::vector<Buffer> buffers_;
};

struct Variant {
  std::string name;
  Keep keep;
  std::int64_t rows;
  std::int32_t newest = 0;  // plane
  std::vector<op::GatedDelta::Args> delta = {};
  std::vector<op::ConvState::Args> conv = {};
  std::vector<cpu::Phase> phases = {};
  std::vector<double> seconds = {};  // per layer
};

// What the host does before each pass: another plane is the newest, another column.
void fill_tables(const RecurrentArguments& o, Variant& v, const Tensor& runs, const Tensor& steps) {
  op::begin_recurrent_runs(runs);
  op::RecurrentRun run;
  const auto rows = static_cast<std::int32_t>(v.rows);
  run.rows = rows;
  run.plane = v.newest;
  if (v.keep == Keep::replay) {
    run.replay = o.replayed;
    run.base_plane = v.newest = 1 - v.newest;
  }
  if (v.keep == Keep::conv) {
    run.column = v.newest;
    run.columns = 3;
    v.newest = (v.newest + rows) % v.conv[0].window_slots;
  }
  must(op::add_recurrent_run(runs, steps, run));
  for (std::int32_t r = 0; r < rows; ++r) {
    op::RecurrentStep& step = op::recurrent_step(steps, r);
    if (v.keep == Keep::replay) step.record = o.replayed + r;
    if (v.keep == Keep::conv) step.column = (run.column + 1 + r) % v.conv[0].window_slots;
    if (v.keep == Keep::all || (v.keep == Keep::last && r + 1 == rows))
      step.plane = v.newest = v.keep == Keep::all ? (v.newest + 1) % o.planes : 1 - v.newest;
  }
}

template <class Op>
void add_phases(const Cpu& cpu, Variant& v, std::vector<typename Op::Args>& layers) {
  for (typename Op::Args& a : layers) {
    must(Op::infer(a));
    must(Op::check(a));
    cpu::PhaseList list = must(Kernel<Cpu, Op>::phases(cpu.isa(), a));
    for (int i = 0; i < list.count; ++i) {
      list.item[i].args = &a;
      v.phases.push_back(list.item[i]);
    }
  }
}

int recurrent(const RecurrentArguments& o) {
  using Op = op::GatedDelta;
  const std::unique_ptr<Executor> executor = o.machine.executor();
  const Cpu cpu = must(Cpu::create({o.machine.chosen_isa(), executor.get()}));
  Memory memory;
  std::int64_t most = 1;
  for (const std::int64_t rows : o.rows) most = std::max(most, rows);
  Op::Args a;
  a.key_heads = o.key_heads;
  a.value_heads = o.heads;
  a.key_dim = o.key_dim;
  a.value_dim = o.value_dim;
  must(Op::check_heads(a));
  const std::int64_t channels = 2 * Op::keys(a) + Op::values(a);
  const Tensor x = memory.fill(most, channels, -1, 1), out = memory.fill(most, channels, 0, 0);
  const Tensor decay = memory.fill(most, o.heads, -0.2f, 0),
               beta = memory.fill(most, o.heads, 0, 1);
  const Tensor runs = memory.make(Element::i32, 2, 12), steps = memory.make(Element::i32, most, 4);
  a.decay = decay;
  const Tensor scratch = memory.fill(most, Op::scratch_width(a), 0, 0);
  const std::int64_t slots = o.replayed + most, columns = 3 + most;
  std::vector<Tensor> state, records, weight, window;
  for (std::int32_t l = 0; l < o.layers; ++l) {
    state.push_back(memory.fill(o.planes, o.heads * Op::head_state(a), -0.1f, 0.1f));
    records.push_back(memory.fill(slots, Op::record_width(a), 0, 0.1f));
    weight.push_back(memory.fill(4, channels, -1, 1));
    window.push_back(memory.fill(columns, channels, -1, 1));
  }
  const auto first = [](Tensor t, std::int64_t rows, std::int64_t width) {
    t.extent[0] = rows;
    t.extent[1] = width;
    return t;
  };
  std::vector<Variant> variants;
  for (const std::int64_t rows : o.rows) {
    variants.push_back({fmt::format("delta rows={}", rows), Keep::last, rows});
    if (rows > 1 && rows < o.planes)
      variants.push_back({fmt::format("delta rows={} keep={}", rows, rows), Keep::all, rows});
    if (rows > 1 && rows < o.planes)
      variants.push_back(
          {fmt::format("delta rows={} replay={}", rows, o.replayed), Keep::replay, rows});
    variants.push_back({fmt::format("conv rows={}", rows), Keep::conv, rows});
  }
  for (Variant& v : variants) {
    for (std::size_t l = 0; l < state.size(); ++l) {
      if (v.keep == Keep::conv) {
        op::ConvState::Args c;
        c.x = first(x, v.rows, channels);
        c.y = first(out, v.rows, channels);
        c.weight = weight[l];
        c.window = window[l];
        c.window_slots = static_cast<std::int32_t>(columns);
        c.runs = runs;
        c.steps = first(steps, v.rows, 4);
        v.conv.push_back(c);
        continue;
      }
      a.x = first(x, v.rows, channels);
      a.decay = first(decay, v.rows, o.heads);
      a.beta = first(beta, v.rows, o.heads);
      a.y = first(out, v.rows, Op::values(a));
      a.scratch = first(scratch, v.rows, Op::scratch_width(a));
      a.runs = runs;
      a.steps = first(steps, v.rows, 4);
      a.state = state[l];
      a.records = records[l];
      a.record_slots = static_cast<std::int32_t>(slots);
      v.delta.push_back(a);
    }
    add_phases<Op>(cpu, v, v.delta);
    add_phases<op::ConvState>(cpu, v, v.conv);
  }
  ReadBandwidth read(*executor);
  WriteBandwidth write(*executor);
  std::vector<double> reads, writes;
  for (std::int32_t round = -2; round < o.rounds; ++round) {
    reads.push_back(read.gigabytes_per_second());
    writes.push_back(write.gigabytes_per_second());
    for (Variant& v : variants) {
      fill_tables(o, v, runs, first(steps, v.rows, 4));
      const auto start = std::chrono::steady_clock::now();
      must(cpu.run(v.phases, v.phases.size(), cpu::Launch{v.rows, v.rows}));
      const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
      if (round >= 0) v.seconds.push_back(time.count() / o.layers);
    }
  }
  Table table;
  for (const char* heading : {"call", "us per layer", "fastest"})
    table.column(heading,
                 heading == std::string_view("call") ? Table::Align::left : Table::Align::right);
  nlohmann::json json = {{"heads", o.heads},
                         {"layers", o.layers},
                         {"threads", executor->workers()},
                         {"read_gb_per_s", reads},
                         {"write_gb_per_s", writes}};
  for (const Variant& v : variants) {
    const double fastest = *std::min_element(v.seconds.begin(), v.seconds.end());
    table.row({v.name, fmt::format("{:.1f}", median(v.seconds) * 1e6),
               fmt::format("{:.1f}", fastest * 1e6)});
    for (const double s : v.seconds) json["microseconds"][v.name].push_back(s * 1e6);
  }
  std::FILE* const stream = text_stream(o.json);
  fmt::print(stream, "{}; {} threads, {} layers of {} heads of {} x {}\n", machine_name(),
             executor->workers(), o.layers, o.heads, o.key_dim, o.value_dim);
  table.print(stream);
  fmt::print(stream, "memory: {:.1f} GB/s read, {:.1f} GB/s written\n", median(reads),
             median(writes));
  write_json(o.json, json);
  return 0;
}

}  // namespace

void add_bench_recurrent(CLI::App& bench, Commands& commands) {
  CLI::App* app = bench.add_subcommand("recurrent", "Time recurrent states, read from memory");
  const auto o = std::make_shared<RecurrentArguments>();
  const CLI::Range count(1, 4096);
  app->add_option("--heads", o->heads, "Value heads")->check(count);
  app->add_option("--key-heads", o->key_heads, "Heads of q and k")->check(count);
  app->add_option("--key-dim", o->key_dim, "Values of a key")->check(count);
  app->add_option("--value-dim", o->value_dim, "Values of a value head")->check(count);
  app->add_option("--layers", o->layers, "Layers, each with states of its own")->check(count);
  app->add_option("--planes", o->planes, "States of each layer")->check(CLI::Range(2, 4096));
  app->add_option("--replayed", o->replayed, "Records that a pass replays")->check(count);
  app->add_option("--rows", o->rows, "Rows of a pass")->delimiter(',')->check(CLI::Range(1, 1024));
  app->add_option("--rounds", o->rounds, "How often each is timed")->check(count);
  o->machine.add_threads(*app);
  o->machine.add_isa(*app);
  app->add_option("--json", o->json, "Write the figures to this file; - is stdout");
  commands.push_back({app, [o] { return recurrent(*o); }});
}

}  // namespace kedge::tools
