// kedge bench report: one page with everything that the other benches measure, and nothing that it
// would have to load. Figures are measured now or come from files that the benches wrote, so that a
// report of many models can be taken piece by piece.
#include <ctime>
#include <filesystem>
#include <fstream>

#include "bench/bench.hpp"
#include "bench/cost.hpp"
#include "bench/report/peers.hpp"
#include "bench/streamed.hpp"
#include "common/failure.hpp"
#include "kedge/report_page.hpp"

namespace kedge::tools {

namespace {

struct Options {
  std::string out = "report.html";
  std::vector<std::string> models, peers, operator_files, cost_files, peer_files;
  bool no_operators = false;
  StreamedOptions streamed;
  CostOptions cost;
};

std::string stem(const std::string& path) { return std::filesystem::path(path).stem().string(); }

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[64];
  std::strftime(text, sizeof text, "%e %B %Y, %H:%M", std::localtime(&now));
  return text;
}

// One card per model and context, from what bench cost wrote.
void add_models(const nlohmann::json& cost, nlohmann::json& models) {
  for (const nlohmann::json& context : cost.at("contexts")) {
    nlohmann::json one = context;
    one["name"] = stem(cost.at("model").get<std::string>());
    one["peers"] = nlohmann::json::array();
    models.push_back(one);
  }
}

void add_peer(nlohmann::json& models, const std::string& model, std::int64_t context,
              const nlohmann::json& curve) {
  for (nlohmann::json& m : models)
    if (m["name"] == model && m["context"] == context) m["peers"].push_back(curve);
}

void replace(std::string& text, std::string_view what, const std::string& with) {
  if (const std::size_t at = text.find(what); at != std::string::npos)
    text.replace(at, what.size(), with);
}

// In an HTML script element "</script" would end it, and "<!--" begin a comment.
std::string in_script(const nlohmann::json& json) {
  std::string text;
  for (const char c : json.dump()) text += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return text;
}

nlohmann::json gather(const Options& o) {
  nlohmann::json models = nlohmann::json::array(), operators = nlohmann::json::array();
  const std::unique_ptr<Executor> executor = o.cost.machine.executor();
  for (const std::string& path : o.operator_files) {
    const nlohmann::json file = read_json_file(path);
    const nlohmann::json& curves = file.at("curves");
    operators.insert(operators.end(), curves.begin(), curves.end());
  }
  if (o.operator_files.empty() && !o.no_operators)
    operators = stream_operators(o.streamed, "", {o.cost.machine.chosen_isa()}, *executor, stdout);
  for (const std::string& path : o.cost_files) add_models(read_json_file(path), models);
  for (const std::string& path : o.models) {
    CostOptions cost = o.cost;
    cost.model = path;
    nlohmann::json measured = nlohmann::json::array();
    add_models(measure_cost(cost, stdout), measured);
    for (const std::string& peer : o.peers)
      for (const std::int64_t context : cost.contexts)
        add_peer(measured, stem(path), context,
                 measure_peer(peer, path, context, executor->workers()));
    models.insert(models.end(), measured.begin(), measured.end());
  }
  for (const std::string& path : o.peer_files) {
    const nlohmann::json file = read_json_file(path);
    for (const nlohmann::json& curve : file)
      add_peer(models, curve.at("model"), curve.at("context"),
               {{"name", curve.at("peer")}, {"points", curve.at("points")}});
  }
  return {{"machine", machine_name()},      {"isa", to_string(o.cost.machine.chosen_isa())},
          {"threads", executor->workers()}, {"when", today()},
          {"operators", operators},         {"models", models}};
}

int report(const Options& o) {
  if (!o.peers.empty() && o.models.empty())
    bad_usage("--peer", "a peer is measured over the files of --model, of which there is none");
  nlohmann::json data;
  try {
    data = gather(o);
  } catch (const nlohmann::json::exception& error) {
    fail_with(Code::malformed, "bench report", "a file is not what the benches write: {}",
              error.what());
  }
  std::string page = report_html;
  replace(page, "@css@", report_css);
  replace(page, "@js@", report_js);
  replace(page, "@data@", in_script(data));
  std::ofstream file(o.out, std::ios::binary);
  file << page;
  if (!file.flush()) fail_with(Code::io, o.out, "cannot be written");
  fmt::print("{}: {}, {} operators, {} models\n", o.out,
             bytes_text(static_cast<double>(page.size())), data["operators"].size(),
             data["models"].size());
  return 0;
}

}  // namespace

void add_bench_report(CLI::App& bench, Commands& commands) {
  CLI::App* app = bench.add_subcommand(
      "report", "One HTML page: costs of passes, roofline, operators, beside other programs");
  const auto o = std::make_shared<Options>();
  o->streamed.repetitions = 3;
  o->cost.repetitions = 3;
  app->add_option("--out", o->out, "The page");
  app->add_option("--model", o->models, "GGUF files to measure");
  app->add_option("--context", o->cost.contexts, "Positions before the rows")->delimiter(',');
  app->add_option("--peer", o->peers, "NAME=PATH of a llama-bench, measured over the same models");
  app->add_option("--cost", o->cost_files, "Files by `bench cost --json`");
  app->add_option("--operators", o->operator_files,
                  "Files by `bench ops --from-memory --json`; none: they are measured now");
  app->add_option("--peer-curves", o->peer_files,
                  "Files with [{\"peer\", \"model\", \"context\", \"points\": [{\"n\", \"ms\"}]}]");
  app->add_flag("--no-operators", o->no_operators, "Models alone");
  app->add_option("--formats", o->streamed.formats, "Of weights of the operators")->delimiter(',');
  app->add_option("--repetitions", o->cost.repetitions, "Of each pass")
      ->check(CLI::Range(1, 10000));
  o->cost.machine.add_threads(*app);
  o->cost.machine.add_isa(*app);
  o->cost.machine.add_cache(*app);
  commands.push_back({app, [o] { return report(*o); }});
}

}  // namespace kedge::tools
