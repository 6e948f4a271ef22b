// kedge check: proves on this model and machine that speculation changes no byte and that undoing
// a draft costs nothing.
#include "check/check.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/count_allocations.hpp"
#include "common/failure.hpp"
#include "common/sampling.hpp"

namespace kedge::tools {

namespace {

struct CheckArguments {
  std::string model, draft = "auto", json;
  std::int64_t prompts = 3, tokens = 32, pairs = 6, perturb = -1;
  bool full = false;
  SamplingChoice sampling;
  MachineOptions machine;
};

int check(const CheckArguments& o) {
  CheckOptions options;
  options.machine = o.machine;
  options.draft = parse_draft(o.draft);
  options.isa = o.machine.chosen_isa();
  options.sampling = o.sampling.options;
  options.tokens = o.tokens;
  options.pairs = o.pairs;
  std::int64_t count = o.prompts;
  if (o.full) {
    count = std::max<std::int64_t>(count, 20);
    options.tokens = std::max<std::int64_t>(options.tokens, 128);
    options.pairs = std::max<std::int64_t>(options.pairs, 16);
    options.long_tokens = 200;  // three pages and a part of the fourth
    options.short_tokens = 72;
  }
  if (o.perturb >= 0) options.perturb = o.perturb;
  const auto start = std::chrono::steady_clock::now();
  const std::unique_ptr<Executor> executor = o.machine.executor();
  LoadOptions load;
  load.accelerator = o.machine.accelerator();
  const ModelFile file = load_model(o.model, executor.get(), load);
  std::vector<Prompt> prompts = built_in_prompts(file, count);
  for (Prompt& prompt : prompts)  // half of a short context is for what is generated
    prompt.tokens.resize(std::min(prompt.tokens.size(),
                                  static_cast<std::size_t>(file.model->config().context + 1) / 2));
  std::FILE* const out = text_stream(o.json);
  fmt::print(out, "{}; {}, {} threads, {}, drafter {}, {}\n", machine_name(),
             o.machine.backend_text(), executor->workers(), to_string(options.isa),
             options.draft.text(), o.sampling.text());

  nlohmann::json json = {{"machine", machine_name()},
                         {"backend", o.machine.backend_text()},
                         {"isa", to_string(options.isa)}};
  std::uint64_t differing = 0;
  std::string difference;
  for (const LogitsReport& r : check_logits(file, prompts, options)) {
    if (r.runs == 0) continue;
    fmt::print(out, "differing logit bytes {} of {} over {} ({} runs)\n", r.differing,
               grouped(static_cast<std::int64_t>(r.bytes)), r.over, r.runs);
    std::fflush(out);
    if (difference.empty()) difference = r.first_difference;
    differing += r.differing;
    json["logits"].push_back(
        {{"over", r.over}, {"runs", r.runs}, {"bytes", r.bytes}, {"differing", r.differing}});
  }
  if (options.perturb && differing > 0) {  // what --perturb is for
    json.update({{"differing_logit_bytes", differing},
                 {"first_difference", difference},
                 {"passed", false}});
    write_json(o.json, json);
    fail_with(Code::numeric, "check", "{}", difference);
  }
  const SpeculationReport s = check_speculation(file, prompts, options);
  fmt::print(out,
             "text equal {}/{} in {} speculative runs ({} forced (proposed, accepted) pairs, {} "
             "drafts accepted, {} undone)\n",
             s.equal, s.texts, s.runs, s.pairs, s.accepted, s.undone);
  // A driver allocates when it is handed work, on the thread that hands it over.
  const bool on_cpu = file.model->accelerator() == nullptr;
  const std::string allocations =
      !on_cpu ? "allocations not counted (the driver's own are among them)"
      : can_count_allocations()
          ? fmt::format("{} allocations in {} rounds", s.allocations, s.counted_rounds)
          : "allocations not counted (this build cannot interpose malloc)";
  fmt::print(out, "undone {} drafts: {} state bytes changed, {}\n", s.undone, s.state_bytes_changed,
             allocations);
  std::int64_t continuations = 0, continuations_equal = 0;
  const auto shortest = std::min_element(
      prompts.begin(), prompts.end(),
      [](const Prompt& a, const Prompt& b) { return a.tokens.size() < b.tokens.size(); });
  for (const ContinuationReport& r : check_continuations(file, *shortest, options)) {
    fmt::print(out, "after {}: {}/{} texts go on with the same tokens and {} logit bytes\n", r.name,
               r.equal, r.runs, grouped(static_cast<std::int64_t>(r.bytes)));
    json["continuations"].push_back(
        {{"after", r.name}, {"runs", r.runs}, {"equal", r.equal}, {"bytes", r.bytes}});
    continuations += r.runs;
    continuations_equal += r.equal;
    if (difference.empty() && r.equal < r.runs)
      difference = fmt::format("after {} the text does not go on as before", r.name);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print(out, "{} of cache compared around commits, {} of undone rows poisoned; {:.1f} s\n",
             bytes_text(static_cast<double>(s.state_bytes_compared)),
             bytes_text(static_cast<double>(s.poisoned_bytes)), seconds.count());
  if (difference.empty()) difference = s.first_difference;
  // Nothing undone or nothing accepted would prove nothing.
  const bool tried = s.undone > 0 && s.accepted > 0;
  const bool passed = differing == 0 && s.equal == s.texts && s.state_bytes_changed == 0 &&
                      (s.allocations == 0 || !on_cpu) && continuations_equal == continuations &&
                      tried;
  json.update({{"differing_logit_bytes", differing},
               {"texts", s.texts},
               {"texts_equal", s.equal},
               {"speculative_runs", s.runs},
               {"forced_pairs", s.pairs},
               {"accepted", s.accepted},
               {"undone", s.undone},
               {"state_bytes_changed", s.state_bytes_changed},
               {"allocations_counted", on_cpu && can_count_allocations()},
               {"allocations", s.allocations},
               {"counted_rounds", s.counted_rounds},
               {"sampling", o.sampling.text()},
               {"first_difference", difference},
               {"seconds", seconds.count()},
               {"passed", passed}});
  write_json(o.json, json);
  if (passed) {
    std::fputs("exact\n", out);
    return 0;
  }
  std::fflush(out);
  if (difference.empty())
    difference = !tried ? "the drafters were never both right and wrong; raise --tokens"
                 : s.state_bytes_changed > 0 ? "a commit changed the state"
                                             : "a round allocated memory";
  fail_with(Code::numeric, "check", "{}", difference);
}

}  // namespace

void add_check(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand(
      "check", "Prove that speculation is exact and undone for free on this model and machine");
  const auto o = std::make_shared<CheckArguments>();
  app->add_option("--model", o->model, "GGUF file")->required();
  add_draft(*app, o->draft);
  app->add_option("--prompts", o->prompts, "Texts to compare")->check(CLI::Range(1, 1000));
  app->add_option("--tokens", o->tokens, "Tokens to generate for each")->check(CLI::Range(2, 4096));
  app->add_option("--pairs", o->pairs, "Force every pair (proposed, accepted) up to this")
      ->check(CLI::Range(1, 31));
  app->add_flag("--full", o->full, "At least 20 texts of 128 tokens, every pair up to 16: minutes");
  app->add_option("--perturb", o->perturb,
                  "Flip one bit of a logit at this position in one run, to see the check fail")
      ->check(CLI::NonNegativeNumber);
  o->sampling.add(*app);
  o->machine.add_backend(*app);
  o->machine.add_threads(*app);
  o->machine.add_isa(*app);
  o->machine.add_cache(*app);
  o->machine.add_state(*app);
  app->add_option("--json", o->json, "Write the findings to this file; - is stdout");
  commands.push_back({app, [o] { return check(*o); }});
}

}  // namespace kedge::tools
