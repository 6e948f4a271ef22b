// kedge bench speculation: a prompt file, plain against speculative, with the tables that cards of
// drafters have.
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/bench.hpp"
#include "bench/decoding.hpp"
#include "common/drafter.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/model_file.hpp"
#include "common/output.hpp"
#include "common/prompt_file.hpp"
#include "common/sampling.hpp"
#include "common/statistics.hpp"
#include "common/window.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tools {

namespace {

struct SpeculationArguments {
  std::string model, prompts, draft = "auto", json, category, traces;
  std::int64_t max_tokens = 128, limit = 0;
  int repetitions = 1;
  bool ignore_end = false, raw = false, bytes = false;
  SamplingChoice sampling;
  WindowOptions window;
  MachineOptions machine;
};

// Tokens that a session makes before it is the other's turn: 10 to 30 ms of the models that
// never-slower asks about. With 8 tokens of a hybrid, 120 ms, pairs of the same work differed by a
// tenth.
constexpr std::int64_t slice = 2;

struct Case {
  FilePrompt from;
  std::vector<std::int32_t> tokens;
};

// What rounds of several prompts came to. Rates are of sums, not means of rates.
struct Sum {
  int prompts = 0;
  double plain_ms = 0, speculative_ms = 0;  // medians of the repetitions, per prompt
  std::int64_t rounds = 0, proposed = 0, evaluated = 0, accepted = 0;
  std::vector<std::int64_t> held;
  Stats confidences;  // bins alone

  void add(const Stats& s, double plain, double speculative) {
    ++prompts;
    plain_ms += plain;
    speculative_ms += speculative;
    rounds += s.rounds;
    proposed += s.proposed;
    evaluated += s.evaluated;
    accepted += s.accepted;
    for (std::size_t i = 0; i < s.bin.size(); ++i) {
      confidences.bin[i].guesses += s.bin[i].guesses;
      confidences.bin[i].held += s.bin[i].held;
      confidences.bin[i].confidence += s.bin[i].confidence;
    }
    for (std::size_t i = 0; i < s.held.size() && s.reached[i] > 0; ++i) {
      if (held.size() <= i) held.push_back(0);
      held[i] += s.held[i];
    }
  }
  static double share(std::int64_t a, std::int64_t b) {
    return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
  }
  double tau() const { return rounds == 0 ? 0 : 1 + share(accepted, rounds); }
  double speedup() const { return speculative_ms > 0 ? plain_ms / speculative_ms : 0; }
  // Null where no guess had a confidence.
  nlohmann::json confidence_error() const {
    const double error = confidences.calibration_error();
    return error >= 0 ? nlohmann::json(error) : nlohmann::json();
  }
  nlohmann::json json() const {
    nlohmann::json by_position = nlohmann::json::array();
    for (const std::int64_t h : held) by_position.push_back(share(h, rounds));
    return {{"prompts", prompts},
            {"rounds", rounds},
            {"tau", tau()},
            {"proposed", proposed},
            {"evaluated", evaluated},
            {"accepted", accepted},
            {"accepted_of_proposed", share(accepted, proposed)},
            {"accepted_of_evaluated", share(accepted, evaluated)},
            {"acceptance_by_position", by_position},
            {"confidence_error", confidence_error()},
            {"plain_ms", plain_ms},
            {"speculative_ms", speculative_ms},
            {"speedup", speedup()}};
  }
};

std::vector<Case> read_cases(const SpeculationArguments& o, const ModelFile& file) {
  std::vector<Case> cases;
  for (FilePrompt& prompt : read_prompt_file(o.prompts)) {
    if (!o.category.empty() && prompt.category != o.category) continue;
    if (o.limit > 0 && static_cast<std::int64_t>(cases.size()) == o.limit) break;
    const bool chat = prompt.chat && !o.raw && file.chat;
    Case one{std::move(prompt), {}};
    if (o.bytes)
      for (const char c : one.from.text) one.tokens.push_back(static_cast<unsigned char>(c));
    else one.tokens = chat ? file.encode_as_chat(one.from.text) : file.encode(one.from.text);
    cases.push_back(std::move(one));
  }
  if (cases.empty())
    fail_with(Code::not_found, o.prompts, "no prompt of category \"{}\"", o.category);
  return cases;
}

// What the drafter would propose at every position of a text, and how much of it would hold: what a
// window can be tried on without a model (tests/unit/virtual_clock.hpp). Three lines a text: its
// name, then a digit of base 32 for each generated token but the first.
std::string trace(draft::AnyDrafter& drafter, const Case& one,
                  const std::vector<std::int32_t>& text, const SamplingOptions& sampling) {
  constexpr const char* digits = "0123456789abcdefghijklmnopqrstuv";
  std::string proposed, holds;
  draft::Draft draft = must(draft::Draft::create({.capacity = 16}));
  must(drafter.begin(one.tokens));
  for (std::size_t at = 1; at < text.size(); ++at) {
    must(drafter.append({&text[at - 1], 1}));
    draft.clear();
    draft::Ask ask;
    ask.count = draft.capacity();
    ask.position = static_cast<std::int64_t>(one.tokens.size() + at);
    ask.sampling = &sampling;
    must(drafter.propose(ask, draft));
    std::size_t held = 0;
    const auto guesses = draft.tokens();
    while (held < guesses.size() && at + held < text.size() && guesses[held] == text[at + held])
      ++held;
    proposed += digits[guesses.size()];
    holds += digits[held];
  }
  return one.from.category + " " + one.from.id + "\n" + proposed + "\n" + holds + "\n";
}

Table tables(const std::map<std::string, Sum>& sums, std::size_t positions) {
  Table table;
  table.column("category", Table::Align::left);
  for (const char* heading : {"prompts", "rounds", "tau", "accepted", "of proposed", "of evaluated",
                              "confidence error", "speed-up"})
    table.column(heading);
  for (std::size_t i = 0; i < positions; ++i) table.column(fmt::format("@{}", i + 1));
  for (const auto& [category, sum] : sums) {
    std::vector<std::string> cells = {
        category,
        std::to_string(sum.prompts),
        std::to_string(sum.rounds),
        fmt::format("{:.2f}", sum.tau()),
        std::to_string(sum.accepted),
        fmt::format("{:.2f}", Sum::share(sum.accepted, sum.proposed)),
        fmt::format("{:.2f}", Sum::share(sum.accepted, sum.evaluated)),
        sum.confidences.calibration_error() >= 0
            ? fmt::format("{:.3f}", sum.confidences.calibration_error())
            : "-",
        fmt::format("{:.2f}", sum.speedup())};
    for (std::size_t i = 0; i < positions; ++i)
      cells.push_back(
          i < sum.held.size() ? fmt::format("{:.3f}", Sum::share(sum.held[i], sum.rounds)) : "");
    table.row(std::move(cells));
  }
  return table;
}

int speculation(const SpeculationArguments& o) {
  const DraftChoice draft = parse_draft(o.draft);
  if (!draft.drafts) bad_usage("--draft", "none would compare plain decoding with itself");
  const cpu::Isa isa = o.machine.chosen_isa();
  const std::unique_ptr<Executor> executor = o.machine.executor();
  const ModelFile file = load_model(o.model, executor.get());
  const std::vector<Case> cases = read_cases(o, file);
  std::size_t longest = 0;
  for (const Case& one : cases) longest = std::max(longest, one.tokens.size());

  Session::Options options;
  options.isa = isa;
  options.executor = executor.get();
  options.context = static_cast<std::int64_t>(longest) + o.max_tokens;
  options.cache = o.machine.cache_element();
  options.recurrent = o.machine.recurrent();
  draft::AnyDrafter drafter = draft.make({options.context + 1, &file, executor.get(), isa});
  options.max_draft = 0;
  Session plain = must(Session::create(file.model, options));
  options.max_draft = draft.max_draft();
  options.taps = drafter.taps();
  Session speculative = must(Session::create(file.model, options));
  speculative.set_drafter(std::move(drafter));
  speculative.set_window(o.window.make());
  must(speculative.set_verification(o.window.method()));
  for (Session* session : {&plain, &speculative}) must(session->set_sampling(o.sampling.options));
  std::vector<std::int32_t> ends;
  if (file.tokenizer && !o.ignore_end)
    ends.assign(file.tokenizer->ends().begin(), file.tokenizer->ends().end());
  const auto decode = [&](Session& session, const Case& one) {
    return Decoding(session, one.tokens, o.max_tokens, ends);
  };

  nlohmann::json json = {{"machine", machine_name()},
                         {"isa", to_string(isa)},
                         {"threads", executor->workers()},
                         {"draft", draft.text()},
                         {"window", speculative.window().name()},
                         {"verification", o.window.verification},
                         {"max_tokens", o.max_tokens},
                         {"repetitions", o.repetitions}};
  Progress progress("decoding");
  std::string traces;
  draft::AnyDrafter traced;
  if (!o.traces.empty()) traced = draft.make({options.context + 1, &file, executor.get(), isa});
  if (!traced.taps().empty()) bad_usage("--traces", "drafter {} reads hidden states", draft.text());
  std::map<std::string, Sum> sums;
  std::string different;
  for (std::size_t p = 0; p < cases.size(); ++p) {
    const Case& one = cases[p];
    const double done = static_cast<double>(p) / static_cast<double>(cases.size());
    progress.show(done, one.from.category + " " + one.from.id);
    // Equal before fast; this also warms both up, and what adapts has adapted to the text.
    Decoding expected = decode(plain, one), found = decode(speculative, one);
    expected.until(o.max_tokens);
    found.until(o.max_tokens);
    if (traced) traces += trace(traced, one, expected.tokens(), o.sampling.options);
    const bool same = found.tokens() == expected.tokens();
    // The others promise the distribution, and the same text where nothing is drawn.
    const bool must_be =
        o.window.method() == Verification::coupled || o.sampling.options.temperature == 0;
    const bool equal = same || !must_be;
    if (!equal && different.empty()) different = one.from.id;
    std::vector<double> plain_ms, speculative_ms, ratio;
    for (int r = 0; r < o.repetitions; ++r) {
      Decoding by_one = decode(plain, one), by_rounds = decode(speculative, one);
      take_turns(r % 2 == 0 ? by_one : by_rounds, r % 2 == 0 ? by_rounds : by_one, slice);
      plain_ms.push_back(by_one.ms());
      speculative_ms.push_back(by_rounds.ms());
      ratio.push_back(speculative_ms.back() > 0 ? plain_ms.back() / speculative_ms.back() : 1);
    }
    const Stats& s = speculative.stats();
    for (const std::string& key : {one.from.category, std::string("together")})
      sums[key].add(s, median(plain_ms), median(speculative_ms));
    nlohmann::json entry = statistics_json(s);
    entry.update({{"id", one.from.id},
                  {"category", one.from.category},
                  {"prompt_tokens", one.tokens.size()},
                  {"plain_ms", plain_ms},
                  {"speculative_ms", speculative_ms},
                  {"ratios", ratio},
                  {"ratio", median(ratio)},
                  {"text_equal", same}});
    json["prompts"].push_back(entry);
  }
  progress.clear();

  std::FILE* const out = text_stream(o.json);
  fmt::print(out,
             "{}; {} threads, {}, drafter {}, up to {} tokens a prompt, median of {}\n"
             "tau: tokens per pass; @i: share of all rounds in which i drafts held\n",
             machine_name(), executor->workers(), to_string(isa), draft.text(), o.max_tokens,
             o.repetitions);
  tables(sums, std::min<std::size_t>(sums["together"].held.size(), 16)).print(out);
  for (const auto& [category, sum] : sums) json["categories"][category] = sum.json();
  write_json(o.json, json);
  if (!o.traces.empty()) {
    io::Sink sink = must(io::Sink::create(o.traces.c_str()));
    must(sink.write(std::as_bytes(std::span(traces))));
    must(sink.finish());
  }
  if (!different.empty())
    fail_with(Code::numeric, "bench speculation",
              "prompt {}: the speculative text is not the plain text", different);
  return 0;
}

}  // namespace

void add_bench_speculation(CLI::App& bench, Commands& commands) {
  CLI::App* app = bench.add_subcommand(
      "speculation", "A file of prompts: acceptance by position and category, and the speed-up");
  const auto o = std::make_shared<SpeculationArguments>();
  app->add_option("--model", o->model, "GGUF file or folder")->required();
  app->add_option("--prompts", o->prompts,
                  "JSON lines with prompt, turns or messages (the first turn is taken), and "
                  "question_id and category where there are some")
      ->required();
  app->add_option("--category", o->category, "Only prompts of this one");
  app->add_option("--limit", o->limit, "At most so many prompts; 0: all")
      ->check(CLI::Range(0, 1 << 20));
  add_draft(*app, o->draft);
  o->window.add(*app);
  o->sampling.add(*app);
  app->add_option("--max-tokens", o->max_tokens, "Tokens to generate for each")
      ->check(CLI::Range(2, 1 << 20));
  app->add_option("--repetitions", o->repetitions, "Plain and speculative in turn, so often")
      ->check(CLI::Range(1, 10000));
  app->add_flag("--ignore-end", o->ignore_end, "Go on after the model's end token");
  app->add_flag("--bytes", o->bytes,
                "Bytes as token numbers: for models whose files have no tokenizer");
  app->add_flag("--raw", o->raw, "Messages without the model's chat template");
  o->machine.add_threads(*app);
  o->machine.add_isa(*app);
  o->machine.add_cache(*app);
  o->machine.add_state(*app);
  app->add_option("--traces", o->traces,
                  "Write what the drafter proposes at every position, for the tests of windows");
  app->add_option("--json", o->json, "Write the figures to this file; - is stdout");
  commands.push_back({app, [o] { return speculation(*o); }});
}

}  // namespace kedge::tools
