// kedge bench decode: plain against speculative decoding, text by text.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/bench.hpp"
#include "common/drafter.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/model_file.hpp"
#include "common/output.hpp"
#include "common/prompts.hpp"
#include "common/statistics.hpp"
#include "common/window.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tools {

namespace {

struct DecodeArguments {
  std::string model, draft = "auto", json;
  std::int64_t prompts = 3, max_tokens = 128;
  int repetitions = 3;
  bool ignore_end = false;
  WindowOptions window;
  MachineOptions machine;
};

std::vector<std::int32_t> text_of(Session& session, const Prompt& prompt, GenerateOptions run) {
  std::vector<std::int32_t> tokens;
  tokens.reserve(static_cast<std::size_t>(run.max_tokens));
  run.context = &tokens;
  run.on_token = [](void* context, const TokenEvent& event) noexcept {
    static_cast<std::vector<std::int32_t>*>(context)->push_back(event.id);
    return true;
  };
  must(session.generate(prompt.tokens, run));
  return tokens;
}

int decode(const DecodeArguments& o) {
  const DraftChoice draft = parse_draft(o.draft);
  if (!draft.drafts) bad_usage("--draft", "none would compare plain decoding with itself");
  const cpu::Isa isa = o.machine.chosen_isa();
  const std::unique_ptr<Executor> executor = o.machine.executor();
  LoadOptions load;
  load.accelerator = o.machine.accelerator();
  const ModelFile file = load_model(o.model, executor.get(), load);
  const std::vector<Prompt> prompts = built_in_prompts(file, o.prompts);
  std::size_t longest = 0;
  for (const Prompt& prompt : prompts) longest = std::max(longest, prompt.tokens.size());

  Session::Options options;
  options.isa = isa;
  options.executor = executor.get();
  options.context = static_cast<std::int64_t>(longest) + o.max_tokens;
  options.cache = o.machine.cache_element();
  options.max_draft = 0;
  Session plain = must(Session::create(file.model, options));
  options.max_draft = draft.max_draft();
  draft::AnyDrafter drafter = draft.make({options.context + 1, &file, executor.get(), isa});
  options.taps = drafter.taps();
  Session speculative = must(Session::create(file.model, options));
  speculative.set_drafter(std::move(drafter));
  speculative.set_window(o.window.make());
  must(speculative.set_verification(o.window.method()));
  GenerateOptions run;
  run.max_tokens = o.max_tokens;
  if (file.tokenizer && !o.ignore_end) run.end_tokens = file.tokenizer->ends();

  Table table;
  table.column("prompt", Table::Align::left);
  for (const char* heading : {"tokens in", "out", "plain tok/s", "speculative", "ratio", "tau",
                              "proposed", "evaluated", "accepted", "text equal"})
    table.column(heading);
  nlohmann::json json = {{"machine", machine_name()},
                         {"isa", to_string(isa)},
                         {"backend", o.machine.backend_text()},
                         {"threads", executor->workers()},
                         {"draft", draft.text()},
                         {"window", speculative.window().name()},
                         {"repetitions", o.repetitions}};
  Progress progress("decoding");
  std::string different;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    const Prompt& prompt = prompts[p];
    // Equal before fast; this also warms both up.
    const std::vector<std::int32_t> expected = text_of(plain, prompt, run);
    const bool equal = text_of(speculative, prompt, run) == expected;
    if (!equal && different.empty()) different = prompt.name;
    std::vector<double> plain_rate, speculative_rate, ratio;
    for (int r = 0; r < o.repetitions; ++r) {
      progress.show((static_cast<double>(p) + static_cast<double>(r) / o.repetitions) /
                        static_cast<double>(prompts.size()),
                    prompt.name);
      // In turn, and each first every other time, so that drift hits both.
      for (const bool speculates : {r % 2 == 1, r % 2 == 0}) {
        Session& session = speculates ? speculative : plain;
        text_of(session, prompt, run);
        (speculates ? speculative_rate : plain_rate).push_back(session.stats().tokens_per_second());
      }
      if (plain_rate.back() > 0) ratio.push_back(speculative_rate.back() / plain_rate.back());
    }
    const Stats& s = speculative.stats();
    table.row({prompt.name, std::to_string(prompt.tokens.size()), std::to_string(s.tokens),
               fmt::format("{:.1f}", median(plain_rate)),
               fmt::format("{:.1f}", median(speculative_rate)),
               fmt::format("{:.2f}", median(ratio)), fmt::format("{:.2f}", s.tau()),
               std::to_string(s.proposed), std::to_string(s.evaluated), std::to_string(s.accepted),
               equal ? "yes" : "NO"});
    nlohmann::json one = statistics_json(s);
    one.update({{"prompt", prompt.name},
                {"plain_tokens_per_second", median(plain_rate)},
                {"speculative_tokens_per_second", median(speculative_rate)},
                {"ratio", median(ratio)},
                {"text_equal", equal}});
    json["prompts"].push_back(one);
  }
  progress.clear();
  std::FILE* const out = text_stream(o.json);
  fmt::print(out, "{}; {}, {} threads, {}, drafter {}, window {}, median of {} repetitions\n",
             machine_name(), o.machine.backend_text(), executor->workers(), to_string(isa),
             draft.text(), speculative.window().name(), o.repetitions);
  table.print(out);
  write_json(o.json, json);
  if (!different.empty())
    fail_with(Code::numeric, "bench decode", "prompt \"{}\": speculative text is not plain text",
              different);
  return 0;
}

}  // namespace

void add_bench_decode(CLI::App& bench, Commands& commands) {
  CLI::App* app = bench.add_subcommand("decode", "Plain against speculative tokens per second");
  const auto o = std::make_shared<DecodeArguments>();
  app->add_option("--model", o->model, "GGUF file")->required();
  add_draft(*app, o->draft);
  o->window.add(*app);
  app->add_option("--prompts", o->prompts, "How many")->check(CLI::Range(1, 1000));
  app->add_option("--max-tokens", o->max_tokens, "Tokens to generate for each")
      ->check(CLI::Range(2, 1 << 20));
  app->add_option("--repetitions", o->repetitions, "Plain and speculative in turn, so often")
      ->check(CLI::Range(1, 10000));
  app->add_flag("--ignore-end", o->ignore_end, "Go on after the model's end token");
  o->machine.add_backend(*app);
  o->machine.add_threads(*app);
  o->machine.add_isa(*app);
  o->machine.add_cache(*app);
  app->add_option("--json", o->json, "Write the figures to this file; - is stdout");
  commands.push_back({app, [o] { return decode(*o); }});
}

}  // namespace kedge::tools
