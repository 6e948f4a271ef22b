// kedge bench ops: the tests' cases of every operator, compared with the reference and then timed.
// The shapes are small, so most figures are those of the caches; --from-memory takes large ones
// (bench/streamed.hpp).
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/bench.hpp"
#include "bench/streamed.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/output.hpp"
#include "kedge/backend/cpu.hpp"
#include "kedge/backend/reference.hpp"
#include "kedge/cases_includes.inc"
#include "kedge/core/block.hpp"
#include "kedge/kernel_cpu_includes.inc"
#include "kedge/kernel_ref_includes.inc"

namespace kedge::tools {

namespace {

struct OpsArguments {
  std::string name, filter, json;
  std::int64_t rows = 1;
  double milliseconds = 2;
  bool from_memory = false;
  StreamedOptions streamed;
  MachineOptions machine;
};

struct Bench {
  const OpsArguments& options;
  Executor* executor;
  Table table{};
  nlohmann::json json = nlohmann::json::array();
  std::size_t cases = 0;
  std::string wrong{};
  Progress progress{"operators"};
};

template <class Op>
struct Outputs {
  std::vector<Tensor Op::Args::*> list, all;
  void tensor(const char*, Tensor Op::Args::*member, op::Role role, const char*) {
    all.push_back(member);
    if (role == op::Role::output || role == op::Role::inout) list.push_back(member);
  }
  template <class T>
  void setting(const char*, T Op::Args::*, const char*) {}
};

template <class Op>
void allocate(cases::Workspace& workspace, typename Op::Args& args, const Outputs<Op>& fields) {
  must(Op::infer(args));
  for (const auto member : fields.all)
    if (Tensor& t = args.*member; !t.empty() && t.data == nullptr)
      t.data = workspace.allocate(t.bytes());
}

// The largest |a - b| of a row over its largest |b|; a row of integers must be equal.
double worst_difference(const Tensor& a, const Tensor& b) {
  std::vector<float> x(static_cast<std::size_t>(a.width())), y(x.size());
  double worst = 0;
  for (std::int64_t r = 0; r < b.rows(); ++r) {
    const std::size_t bytes = row_bytes(b.element, b.width());
    if (std::memcmp(a.row<std::byte>(r), b.row<std::byte>(r), bytes) == 0) continue;
    if (b.element == Element::i32) return HUGE_VAL;
    decode_row(a.element, a.row<std::byte>(r), a.width(), x.data());
    decode_row(b.element, b.row<std::byte>(r), b.width(), y.data());
    double difference = 0, largest = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(x[i]) && std::isnan(y[i])) continue;
      if (!(std::fabs(x[i] - y[i]) <= difference)) difference = std::fabs(double(x[i]) - y[i]);
      largest = std::fmax(largest, std::fabs(y[i]));
    }
    if (!(difference <= worst * largest)) worst = largest > 0 ? difference / largest : HUGE_VAL;
  }
  return worst;
}

template <class Op>
void bench_case(Bench& bench, const cases::Case<Op>& c) {
  const OpsArguments& o = bench.options;
  Outputs<Op> fields;
  Op::fields(fields);
  cases::Workspace expected_memory(1);
  typename Op::Args expected = c.make(expected_memory, o.rows);
  allocate<Op>(expected_memory, expected, fields);
  must(Reference::run<Op>(expected));
  for (const cpu::Isa isa : available_isas()) {
    if (o.machine.isa != "best" && o.machine.chosen_isa() != isa) continue;
    cases::Workspace memory(1);
    typename Op::Args args = c.make(memory, o.rows);
    must(cases::Harness<Op>::prepare_cpu(memory, args, isa));
    allocate<Op>(memory, args, fields);
    const Cpu cpu = must(Cpu::create({isa, bench.executor}));
    must(cpu.run<Op>(args, o.rows));
    double worst = 0;
    for (const auto member : fields.list)
      if (!(args.*member).empty())
        worst = std::fmax(worst, worst_difference(args.*member, expected.*member));
    if (worst > c.tolerance && bench.wrong.empty())
      bench.wrong = fmt::format("{}, case \"{}\", {}: {:.3g} from the reference, at most {:.3g}",
                                Op::name, c.name, to_string(isa), worst, c.tolerance);
    std::vector<double> times;
    const auto start = std::chrono::steady_clock::now();
    for (auto last = start;
         times.size() < 3 ||
         last - start < std::chrono::duration<double, std::milli>(o.milliseconds);) {
      must(cpu.run<Op>(args, o.rows));
      const auto now = std::chrono::steady_clock::now();
      times.push_back(std::chrono::duration<double>(now - last).count());
      last = now;
    }
    const op::Cost cost = Op::cost(args);
    const double seconds = median(times);
    bench.table.row({Op::name, c.name, to_string(isa), fmt::format("{:.2f}", seconds * 1e6),
                     fmt::format("{:.2f}", cost.bytes / seconds / 1e9),
                     fmt::format("{:.2f}", cost.flops / seconds / 1e9)});
    bench.json.push_back({{"op", Op::name},
                          {"case", c.name},
                          {"isa", to_string(isa)},
                          {"rows", o.rows},
                          {"microseconds", seconds * 1e6},
                          {"gb_per_s", cost.bytes / seconds / 1e9},
                          {"gflop_per_s", cost.flops / seconds / 1e9},
                          {"difference", worst}});
  }
}

template <class Op>
void bench_operator(Bench& bench) {
  if (!bench.options.name.empty() && bench.options.name != Op::name) return;
  for (const cases::Case<Op>& c : cases::cases<Op>()) {
    if (c.name.find(bench.options.filter) == std::string::npos) continue;
    ++bench.cases;
    bench.progress.show(0, c.name);
    bench_case<Op>(bench, c);
  }
}

int from_memory(const OpsArguments& o, Executor& executor) {
  std::FILE* const out = text_stream(o.json);
  fmt::print(out, "{}; {} threads, medians (quartiles) of {} repetitions\n", machine_name(),
             executor.workers(), o.streamed.repetitions);
  const nlohmann::json curves =
      stream_operators(o.streamed, o.name, {o.machine.chosen_isa()}, executor, out);
  write_json(o.json, {{"machine", machine_name()},
                      {"threads", executor.workers()},
                      {"repetitions", o.streamed.repetitions},
                      {"curves", curves}});
  return 0;
}

int ops(const OpsArguments& o) {
  const std::unique_ptr<Executor> executor = o.machine.executor();
  if (o.from_memory) return from_memory(o, *executor);
  Bench bench{o, executor.get()};
  for (const char* heading : {"operator", "case", "isa"})
    bench.table.column(heading, Table::Align::left);
  for (const char* heading : {"us", "GB/s", "GFLOP/s"}) bench.table.column(heading);
#define KEDGE_OP(stem, Type) bench_operator<op::Type>(bench);
#include "kedge/ops.inc"
#undef KEDGE_OP
  bench.progress.clear();
  if (bench.cases == 0)
    bad_usage("bench ops", "no case of that name; kedge op --list has the operators");
  std::FILE* const out = text_stream(o.json);
  fmt::print(out, "{}; {} threads, {} rows\n", machine_name(), executor->workers(), o.rows);
  bench.table.print(out);
  write_json(o.json, bench.json);
  if (!bench.wrong.empty()) fail_with(Code::numeric, "bench ops", "{}", bench.wrong);
  return 0;
}

}  // namespace

void add_bench_ops(CLI::App& bench, Commands& commands) {
  CLI::App* app = bench.add_subcommand("ops", "Time the test cases of every operator");
  const auto o = std::make_shared<OpsArguments>();
  app->add_option("name", o->name, "One operator only");
  app->add_option("--filter", o->filter, "Cases whose name contains this");
  app->add_option("--rows", o->rows, "Rows of each call")->check(CLI::Range(1, 128));
  app->add_option("--milliseconds", o->milliseconds, "Time to spend on each case and ISA")
      ->check(CLI::Range(0.0, 1e6));
  StreamedOptions& s = o->streamed;
  const auto memory = [&](CLI::Option* option) { option->group("With --from-memory"); };
  app->add_flag(
      "--from-memory", o->from_memory,
      "matmul and attention over operands that no cache holds, beside the machine's limits");
  memory(app->add_option("--shape", s.shape, "Of the matrix, N x K"));
  memory(app->add_option("--formats", s.formats, "Of weights")->delimiter(','));
  memory(app->add_option("--widths", s.widths, "Rows of a pass; matmul 1 to 16, attention 1,8")
             ->delimiter(',')
             ->check(CLI::Range(1, 4096)));
  memory(app->add_option("--caches", s.caches, "Of keys and values")->delimiter(','));
  memory(app->add_option("--head-dims", s.head_dims, "Of attention")->delimiter(','));
  memory(app->add_option("--heads", s.heads, "Query heads"));
  memory(app->add_option("--kv-heads", s.kv_heads, "Key/value heads"));
  memory(app->add_option("--keys", s.keys, "That attention sees")->check(CLI::Range(1, 1 << 24)));
  memory(app->add_option("--rotation", s.rotation_mib, "MiB of operands that take turns")
             ->check(CLI::Range(1, 1 << 20)));
  memory(app->add_option("--repetitions", s.repetitions, "Of everything, in a new order each time")
             ->check(CLI::Range(1, 10000)));
  o->machine.add_threads(*app);
  o->machine.add_isa(*app);
  app->add_option("--json", o->json, "Write the figures to this file; - is stdout");
  commands.push_back({app, [o] { return ops(*o); }});
}

}  // namespace kedge::tools
