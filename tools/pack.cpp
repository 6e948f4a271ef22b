// kedge pack: a model's weights as they lie in memory, in a file that later loads map.
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/model_file.hpp"
#include "common/output.hpp"

namespace kedge::tools {

namespace {

struct PackArguments {
  std::string model, json;
  bool check = false;
  LoadOptions load;
  MachineOptions machine;
};

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

int pack(const PackArguments& o) {
  LoadOptions load = o.load;
  load.packed.mode = o.check ? PackedWeights::Mode::use : PackedWeights::Mode::make;
  load.packed.verify = o.check;
  const std::unique_ptr<Executor> executor = o.machine.executor();
  const auto start = std::chrono::steady_clock::now();
  const ModelFile file = load_model(o.model, executor.get(), load);
  const double made = milliseconds_since(start);
  load.packed.mode = PackedWeights::Mode::use;
  load.packed.verify = false;
  const auto again = std::chrono::steady_clock::now();
  const ModelFile mapped = load_model(o.model, executor.get(), load);
  const double used = milliseconds_since(again);
  fmt::print(text_stream(o.json), "{}: {}, {} in {:.0f} ms; a load from it takes {:.0f} ms\n",
             load.packed.path, bytes_text(static_cast<double>(file.model->weight_bytes())),
             o.check ? "checked" : "packed", made, used);
  write_json(o.json, {{"bytes", file.model->weight_bytes()},
                      {o.check ? "check_ms" : "pack_ms", made},
                      {"load_ms", used}});
  return 0;
}

}  // namespace

void add_pack(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand(
      "pack",
      "Write a model's packed weights to a file that --packed maps, so that loading takes no time");
  const auto o = std::make_shared<PackArguments>();
  app->add_option("--model", o->model, "GGUF file or folder")->required();
  app->add_option("--out", o->load.packed.path, "File to write, or to check")->required();
  app->add_flag("--check", o->check, "Compare an existing file's bytes with what was written");
  app->add_option("--quantize", o->load.quantize,
                  "Weights of F32, F16 or BF16 become q8_0, q4_0 or q4_k")
      ->check(CLI::IsMember({"q8_0", "q4_0", "q4_k"}));
  app->add_option("--json", o->json, "Write the figures to this file; - is stdout");
  o->machine.add_threads(*app);
  commands.push_back({app, [o] { return pack(*o); }});
}

}  // namespace kedge::tools
