// kedge op: runs any operator on any backend from a safetensors file.
#include <memory>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/output.hpp"
#include "op/operator.hpp"
#include "op/tensor_file.hpp"

namespace kedge::tools {

namespace {

std::string weight_format_names() {
  std::string names;
  for (unsigned i = 0; i < weight_formats; ++i)
    names += std::string(i == 0 ? "" : " ") + to_string(static_cast<Element>(i));
  return names;
}

struct OpArguments {
  std::string name, in, out, json;
  std::vector<std::string> settings;
  bool list = false, help = false;
  int repetitions = 1;
  MachineOptions machine;
};

const char* to_text(op::Role role) {
  constexpr const char* names[] = {"input", "output", "in and out", "state", "scratch"};
  return names[static_cast<unsigned>(role)];
}

void print_list() {
  Table table;
  table.column("operator", Table::Align::left);
  table.column("backends", Table::Align::left);
  table.column("inputs", Table::Align::left);
  for (const Operator& op : operators()) {
    std::string inputs;
    for (const TensorField& t : op.fields.tensors)
      if (t.role == op::Role::input || t.role == op::Role::inout)
        inputs += (inputs.empty() ? "" : ", ") + t.name;
    table.row({op.name, op.has_shader ? "reference cpu vulkan" : "reference cpu", inputs});
  }
  table.print();
}

void print_help(const Operator& op) {
  fmt::print("kedge op {} --in F.safetensors [--set NAME=VALUE ...] [--out F.safetensors]\n\n",
             op.name);
  Table tensors;
  tensors.column("tensor", Table::Align::left);
  tensors.column("role", Table::Align::left);
  tensors.column("shape and meaning", Table::Align::left);
  for (const TensorField& t : op.fields.tensors)
    if (t.role != op::Role::scratch) tensors.row({t.name, to_text(t.role), t.help});
  tensors.print();
  Table settings;
  settings.column("setting", Table::Align::left);
  settings.column("type", Table::Align::left);
  settings.column("default", Table::Align::left);
  settings.column("meaning", Table::Align::left);
  for (const SettingField& s : op.fields.settings)
    settings.row({s.name, s.type, s.initial, s.help});
  for (const TensorField& t : op.fields.tensors) {
    if (t.role == op::Role::output && t.help.find("q8_act") != std::string::npos)
      settings.row({t.name, "f32 or q8_act", "-", "element; q8_act is written as the f32 values"});
    if (t.name == "weight" && (t.help.starts_with("[N,") || t.help.starts_with("[V,")))
      settings.row({"weight.format", "f16 q8_0 ...", "-",
                    weight_format_names() + ": weight is u8 [N, bytes], blocks as in GGUF"});
  }
  std::fputs("\n", stdout);
  settings.print();
  for (const std::string& note : op.fields.notes) fmt::print("\n{}", note);
  fmt::print("{}backends: {}\n", op.fields.notes.empty() ? "\n" : "\n\n",
             op.has_shader ? "reference cpu vulkan" : "reference cpu");
}

std::string summary(const Tensor& t) {
  std::string text;
  const std::int64_t shown = std::min<std::int64_t>(4, t.rows() * t.width());
  for (std::int64_t i = 0; i < shown; ++i)
    text += fmt::format("{}{:.6g}", i == 0 ? "" : " ",
                        t.element == Element::i32 ? static_cast<double>(t.as<std::int32_t>()[i])
                                                  : static_cast<double>(t.as<float>()[i]));
  return text + (shown < t.rows() * t.width() ? " ..." : "");
}

int run_op(const OpArguments& o) {
  if (o.in.empty()) bad_usage("op " + o.name, "--in F.safetensors is required");
  const Operator& op = find_operator(o.name);
  OperatorCall call;
  std::map<std::string, std::string> formats;
  for (const std::string& item : o.settings) {
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos || equals == 0)
      bad_usage("--set", "expected NAME=VALUE, found \"{}\"", item);
    const std::string key = item.substr(0, equals), value = item.substr(equals + 1);
    constexpr std::string_view suffix = ".format";
    if (key.ends_with(suffix)) formats[key.substr(0, key.size() - suffix.size())] = value;
    else call.settings[key] = value;
  }
  const TensorFile file(o.in, formats);
  call.tensors = file.tensors();
  call.backend = o.machine.backend == "cpu"         ? BackendKind::cpu
                 : o.machine.backend == "reference" ? BackendKind::reference
                                                    : BackendKind::vulkan;
  call.repetitions = o.repetitions;
  const std::unique_ptr<Executor> executor = o.machine.executor();
  call.executor = executor.get();
  if (call.backend == BackendKind::cpu) call.isa = o.machine.chosen_isa();
  Memory memory;
  const OperatorResult result = op.run(call, memory);

  nlohmann::json json = {{"op", op.name},
                         {"backend", o.machine.backend},
                         {"milliseconds", result.milliseconds},
                         {"bytes", result.cost.bytes},
                         {"flops", result.cost.flops}};
  Table table;
  table.column("output", Table::Align::left);
  table.column("shape", Table::Align::left);
  table.column("element", Table::Align::left);
  table.column("first values", Table::Align::left);
  for (const auto& [name, t] : result.outputs) {
    const std::vector<std::int64_t> shape(t.extent, t.extent + t.rank);
    const std::string text = nlohmann::json(shape).dump();
    table.row({name, text, to_string(t.element), summary(decoded(t, memory))});
    json["outputs"][name] = {{"shape", shape}, {"element", to_string(t.element)}};
  }
  std::FILE* const stream = text_stream(o.json);
  table.print(stream);
  fmt::print(stream, "{} on {}: {:.4f} ms\n", op.name, o.machine.backend, result.milliseconds);
  if (!o.out.empty()) write_tensors(o.out, result.outputs, memory);
  write_json(o.json, json);
  return 0;
}

}  // namespace

void add_op(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand("op", "Run one operator on tensors from a file");
  const auto o = std::make_shared<OpArguments>();
  // --help is ours: with a name it describes that operator.
  app->set_help_flag();
  app->add_flag("-h,--help", o->help, "With NAME: its tensors, shapes and settings");
  app->add_option("name", o->name, "Operator, see --list");
  app->add_flag("--list", o->list, "List the operators");
  app->add_option("--in", o->in, "safetensors file with the input tensors by name");
  app->add_option("--set", o->settings,
                  "NAME=VALUE: a setting, the element of an output, or "
                  "TENSOR.format; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app->add_option("--backend", o->machine.backend, "reference, cpu or vulkan")
      ->check(CLI::IsMember({"reference", "cpu", "vulkan"}));
  o->machine.add_isa(*app);
  o->machine.add_threads(*app);
  app->add_option("--repetitions", o->repetitions, "Run so often; the fastest time is printed")
      ->check(CLI::Range(1, 1000000));
  app->add_option("--out", o->out, "File to write the outputs to");
  app->add_option("--json", o->json, "Write times and shapes to this file; - is stdout");
  commands.push_back({app, [o, app] {
                        if (o->list) print_list();
                        else if (o->help && o->name.empty())
                          std::fputs(app->help().c_str(), stdout);
                        else if (o->help) print_help(find_operator(o->name));
                        else if (o->name.empty()) bad_usage("op", "name an operator, or --list");
                        else return run_op(*o);
                        return 0;
                      }});
}

}  // namespace kedge::tools
