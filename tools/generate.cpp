// kedge generate: streams a text and ends with its statistics.
#include <atomic>
#include <cmath>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/command.hpp"
#include "common/drafter.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/model_file.hpp"
#include "common/package_file.hpp"
#include "common/sampling.hpp"
#include "common/statistics.hpp"
#include "common/tokens.hpp"
#include "common/window.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "kedge/spec/session.hpp"
#include "kedge/text/stop_strings.hpp"

namespace kedge::tools {

namespace {

struct GenerateArguments {
  std::string model, prompt, prompt_file, tokens, draft, json;
  std::string save_session, load_session;
  std::vector<std::string> stops;
  bool chat = false, ignore_end = false;
  std::int64_t max_tokens = 128, context = 0;
  std::int32_t logprobs = -1;
  SamplingChoice sampling;
  WindowOptions window;
  PackageOptions package;
  MachineOptions machine;
  LoadOptions load;

  bool has_prompt() const { return !prompt.empty() || !prompt_file.empty() || !tokens.empty(); }
};

std::atomic<bool> interrupted{false};

// Prints characters as soon as they are complete and cannot become a stop; token numbers when there
// is no tokenizer.
struct Printer {
  std::optional<text::TextStream> stream;
  std::vector<std::int32_t> tokens;
  std::string text;
  bool quiet = false;  // stdout carries the JSON
  nlohmann::json logprobs = nlohmann::json::array();

  void print(std::string_view part) {
    text += part;
    if (quiet || part.empty()) return;
    std::fwrite(part.data(), 1, part.size(), stdout);
    std::fflush(stdout);
  }
  static bool on_token(void* context, const TokenEvent& event) noexcept {
    auto& self = *static_cast<Printer*>(context);
    self.tokens.push_back(event.id);
    if (!std::isnan(event.logprob)) {
      nlohmann::json alternatives = nlohmann::json::array();
      for (const Alternative& a : event.alternatives)
        alternatives.push_back({{"id", a.id}, {"logprob", a.logprob}});
      self.logprobs.push_back(
          {{"id", event.id}, {"logprob", event.logprob}, {"alternatives", alternatives}});
    }
    if (self.stream) self.print(self.stream->push(event.id));
    else self.print(fmt::format("{}{}", self.tokens.size() == 1 ? "" : " ", event.id));
    return true;
  }
};

void warn(const std::string& what) {
  std::fprintf(stderr, "kedge: warning: %s; decoding without a draft\n", what.c_str());
}

std::vector<std::int32_t> prompt_tokens(const GenerateArguments& o, const ModelFile& file) {
  if (!o.has_prompt()) return {};  // a loaded text goes on
  if (!o.tokens.empty()) return parse_tokens(o.tokens, "--tokens");
  const std::string prompt = o.prompt_file.empty() ? o.prompt : read_text_file(o.prompt_file);
  return o.chat ? file.encode_as_chat(prompt) : file.encode(prompt);
}

int generate(const GenerateArguments& o) {
  const NamedModel named = open_model(o.model, o.package.verify);
  const DraftPlan plan = plan_draft(named, o.package, o.draft, o.window.window);
  if (!plan.warning.empty()) warn(plan.warning);
  DraftChoice draft = parse_draft(plan.draft);
  WindowOptions window = o.window;
  window.window = plan.window;
  const cpu::Isa isa = o.machine.chosen_isa();
  const std::unique_ptr<Executor> executor = o.machine.executor();
  LoadOptions load = o.load;
  load.accelerator = o.machine.accelerator();
  const ModelFile file = load_model(named.path, executor.get(), load);
  const std::vector<std::int32_t> prompt = prompt_tokens(o, file);

  Session::Options options;
  options.isa = isa;
  options.executor = executor.get();
  options.context = o.context;
  options.cache = o.machine.cache_element();
  options.recurrent = o.machine.recurrent();
  options.memory_budget = o.load.session_budget(*file.model);
  const std::int64_t context =
      o.context > 0 ? o.context : std::min(file.model->config().context, default_context);
  draft::AnyDrafter drafter;
  try {
    drafter = draft.make({context + 1, &file, executor.get(), isa});
  } catch (const Failure& failure) {
    // What was asked for fails; what a package declares is left out.
    if (plan.from != "package") throw;
    warn(fmt::format("the package's draft cannot be used: {}", failure.what()));
    draft = parse_draft("none");
  }
  options.max_draft = draft.max_draft();
  options.taps = drafter.taps();
  Session session = must(Session::create(file.model, options));
  session.set_drafter(std::move(drafter));
  const auto lengths = std::make_shared<std::vector<window::Recorded::Length>>();
  lengths->reserve(static_cast<std::size_t>(o.max_tokens));
  session.set_window(window.recording(lengths));
  must(session.set_verification(window.method()));
  if (!o.load_session.empty()) must(session.load(must(io::Source::open(o.load_session.c_str()))));
  if (o.sampling.given || o.load_session.empty())
    if (const Status set = session.set_sampling(o.sampling.options); !set)
      bad_usage(set.error().place, "{}", set.error().reason);
  if (const Status set = session.report_logprobs(o.logprobs); !set)
    bad_usage("--logprobs", "{}", set.error().reason);

  Printer printer;
  printer.quiet = o.json == "-";
  printer.tokens.reserve(static_cast<std::size_t>(o.max_tokens));
  std::optional<text::StopTracker> tracker;
  if (!o.stops.empty() || file.tokenizer) {
    const std::vector<std::string_view> texts(o.stops.begin(), o.stops.end());
    const text::StopStrings stops = must(text::StopStrings::create(file.need_tokenizer(), texts));
    printer.stream = must(text::TextStream::create(stops));
    if (!texts.empty()) tracker.emplace(stops);
  }
  GenerateOptions run;
  run.max_tokens = o.max_tokens;
  if (tracker) run.stop = tracker->matcher();
  if (file.tokenizer && !o.ignore_end) run.end_tokens = file.tokenizer->ends();
  run.on_token = Printer::on_token;
  run.context = &printer;
  run.cancel = &interrupted;
  std::signal(SIGINT, [](int) { interrupted.store(true, std::memory_order_relaxed); });
  const StopReason stop = must(session.resume(prompt, run));
  std::signal(SIGINT, SIG_DFL);
  if (printer.stream) printer.print(printer.stream->finish());

  if (!o.save_session.empty()) {
    io::Sink sink = must(io::Sink::create(o.save_session.c_str()));
    must(session.save(sink));
    must(sink.finish());
  }
  if (!printer.quiet) std::fputs("\n", stdout);
  std::FILE* const stream = is_terminal(stdout) && !printer.quiet ? stdout : stderr;
  std::fprintf(stream, "\n");
  Table table = statistics_table(session.stats());
  table.row({"stopped by", to_string(stop)});
  table.row({"drawn", o.sampling.text()});
  table.row(
      {"machine", fmt::format("{}; {}, {} thread{}, {}, drafter {}", machine_name(),
                              o.machine.backend_text(), executor->workers(),
                              executor->workers() == 1 ? "" : "s", to_string(isa), draft.text())});
  table.print(stream);
  nlohmann::json json = statistics_json(session.stats());
  json.update({{"stop", to_string(stop)},
               {"prompt_token_ids", prompt},
               {"token_ids", printer.tokens},
               {"draft", draft.text()},
               {"draft_from", plan.from},
               {"window", session.window().name()},
               {"verification", to_string(session.verification())},
               {"isa", to_string(isa)},
               {"backend", o.machine.backend_text()},
               {"threads", executor->workers()},
               {"machine", machine_name()}});
  for (const window::Recorded::Length& l : *lengths)
    json["draft_lengths"].push_back({l.asked, l.kept});
  if (file.tokenizer) json["text"] = printer.text;
  if (o.logprobs >= 0) json["logprobs"] = printer.logprobs;
  write_json(o.json, json);
  return 0;
}

}  // namespace

void add_generate(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand("generate", "Stream a text from a model");
  const auto o = std::make_shared<GenerateArguments>();
  app->add_option("--model", o->model,
                  "GGUF file, folder with config.json, or package (model-package.json)")
      ->required();
  CLI::Option_group* prompt = app->add_option_group("Prompt", "One of these, or --load-session");
  prompt->add_option("--prompt", o->prompt, "The prompt itself");
  prompt->add_option("--prompt-file", o->prompt_file, "File that holds the prompt; - is stdin");
  prompt->add_option("--tokens", o->tokens, "The prompt as token numbers: 1,2,3");
  prompt->require_option(0, 1);
  app->add_flag("--chat", o->chat, "Wrap the prompt as a user's message in the model's template");
  app->add_option("--max-tokens", o->max_tokens, "Tokens to generate at most")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24));
  add_draft(*app, o->draft);
  o->window.add(*app);
  o->package.add(*app);
  o->sampling.add(*app);
  app->add_option("--logprobs", o->logprobs,
                  "Write log-probabilities of the tokens and so many alternatives into the JSON");
  app->add_option("--stop", o->stops, "End the text before this; may be given several times")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  app->add_option("--save-session", o->save_session,
                  "Write the text's state to this file afterwards");
  app->add_option("--load-session", o->load_session,
                  "Go on from such a file; a prompt, if there is one, is appended to its text");
  app->add_option("--context", o->context, "Positions; 0: the model's, at most 8192")
      ->check(CLI::NonNegativeNumber);
  app->add_flag("--ignore-end", o->ignore_end, "Go on after the model's end token");
  o->machine.add_backend(*app);
  o->machine.add_threads(*app);
  o->machine.add_isa(*app);
  o->machine.add_cache(*app);
  o->machine.add_state(*app);
  o->load.add(*app);
  app->add_option("--json", o->json, "Write text, tokens and statistics to this file; - is stdout");
  commands.push_back({app, [o] {
                        for (const std::string& stop : o->stops)
                          if (stop.empty()) bad_usage("--stop", "the text is empty");
                        if (!o->has_prompt() && o->load_session.empty())
                          bad_usage("usage",
                                    "one of --prompt, --prompt-file, --tokens or "
                                    "--load-session is required");
                        if (o->chat && !o->tokens.empty())
                          bad_usage("--chat", "needs --prompt or --prompt-file, not --tokens");
                        return generate(*o);
                      }});
}

}  // namespace kedge::tools
