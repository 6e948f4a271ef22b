// kedge draft: what a DFlash or DSpark draft model guesses, given hidden states of a target. In:
// `features` f32 [T, taps * width], of positions 0 .. T - 1, and `anchor` i32 [1], the token at T.
// Out: `tokens` i32 [G], `logits` f32 [G, draft vocabulary], corrected by the Markov head, and
// `confidences` f32 [G] where the draft has that head.
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/drafters/dspark.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/model_file.hpp"
#include "common/output.hpp"
#include "common/profile.hpp"
#include "kedge/draft/dspark.hpp"
#include "kedge/io/safetensors.hpp"

namespace kedge::tools {

namespace {

struct DraftArguments {
  std::string draft, model, in, out, json, quantize = "none";
  std::int64_t count = 0, repeat = 1;
  double temperature = 0;
  std::uint64_t seed = 0;
  bool profile = false;
  MachineOptions machine;
};

struct Input {
  io::TensorBytes feature_bytes;
  Tensor features;
  std::int32_t anchor = 0;
};

Input read_input(const std::string& path, std::int64_t width) {
  const io::Safetensors file = must(io::Safetensors::open(path.c_str()));
  const auto find = [&](const char* name) -> const io::SafeTensor& {
    const io::SafeTensor* t = file.tensor(name);
    if (t == nullptr) fail_with(Code::not_found, path, "no tensor {}", name);
    return *t;
  };
  Input input;
  const io::SafeTensor& features = find("features");
  if (features.type != io::SafeType::f32 || features.shape.size() != 2 || features.shape[0] < 1 ||
      features.shape[1] != width)
    fail_with(Code::malformed, path,
              "features: expected F32 [rows, {}] (taps x width of the target), found {} [{}]",
              width, io::to_string(features.type), fmt::join(features.shape, ", "));
  input.feature_bytes = must(file.read(features));
  input.features = must(io::as_tensor(features, input.feature_bytes));
  const io::SafeTensor& anchor = find("anchor");
  if (anchor.bytes != io::bytes_per_value(anchor.type) ||
      (anchor.type != io::SafeType::i32 && anchor.type != io::SafeType::i64))
    fail_with(Code::malformed, path, "anchor: expected one I32 or I64, found {} [{}]",
              io::to_string(anchor.type), fmt::join(anchor.shape, ", "));
  const io::TensorBytes bytes = must(file.read(anchor));
  std::memcpy(&input.anchor, bytes.data, sizeof input.anchor);  // little-endian
  return input;
}

int draft_once(const DraftArguments& o) {
  const std::unique_ptr<Executor> executor = o.machine.executor();
  std::shared_ptr<const Model> target;
  LoadOptions load;
  load.accelerator = o.machine.accelerator();
  if (!o.model.empty()) target = load_model(o.model, executor.get(), load).model;
  const auto model = load_dspark(o.draft, target, o.quantize, executor.get(), load.accelerator);
  const draft::DsparkConfig& c = model->config();
  const auto taps = static_cast<std::int64_t>(c.taps.size());
  const Input input = read_input(o.in, taps * c.target_width);
  if (input.anchor < 0 || input.anchor >= c.backbone.vocabulary)
    fail_with(Code::malformed, o.in, "anchor: expected 0..{}, found {}", c.backbone.vocabulary - 1,
              input.anchor);
  const std::int64_t rows = input.features.rows();

  draft::Dspark::Options options;
  options.positions = rows;
  options.cache = o.machine.cache_element();
  options.logits = !o.out.empty();
  Profile profile;
  const Cpu cpu =
      must(Cpu::create({o.machine.chosen_isa(), executor.get(), o.profile ? &profile : nullptr}));
  draft::Dspark drafter = must(draft::Dspark::create(model, cpu, options));
  // The text is known to the target; its draft model reads the newest token alone.
  std::vector<std::int32_t> text(static_cast<std::size_t>(rows + 1));
  text.back() = input.anchor;
  must(drafter.begin(text));
  must(drafter.evaluated(0, input.features));
  draft::Draft guesses = must(draft::Draft::create({c.drafts(), 0}));
  SamplingOptions sampling;
  sampling.temperature = o.temperature;
  sampling.seed = o.seed;
  draft::Ask ask;
  ask.count = o.count > 0 ? o.count : c.drafts();
  ask.position = rows + 1;
  ask.sampling = &sampling;
  ask.confidences = false;  // but those of a head
  std::vector<double> times;
  for (std::int64_t i = 0; i < o.repeat; ++i) {
    guesses.clear();
    // The first one also makes keys and values of the context.
    if (i == 1) profile.clear();
    const auto start = std::chrono::steady_clock::now();
    must(drafter.propose(ask, guesses));
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
  }
  if (times.size() > 1) times.erase(times.begin());
  const double milliseconds = median(times);

  const std::int64_t count = guesses.size();
  if (!o.out.empty()) {
    std::vector<float> logits;
    for (std::int64_t i = 0; i < count; ++i) {
      const auto row = drafter.logits(i);
      logits.insert(logits.end(), row.begin(), row.end());
    }
    io::SafetensorsWriter writer;
    must(writer.add_tensor("tokens", tensor(guesses.tokens().data(), Element::i32, count)));
    must(writer.add_tensor("logits",
                           tensor(logits.data(), Element::f32, count, c.draft_vocabulary)));
    if (c.confidence)
      must(writer.add_tensor("confidences",
                             tensor(guesses.confidences().data(), Element::f32, count)));
    must(writer.write(o.out.c_str()));
  }
  std::FILE* const out = text_stream(o.json);
  fmt::print(out, "{}", must(draft::describe(c)));
  fmt::print(out, "guesses behind position {}: {} ({:.3f} ms)\n", rows,
             fmt::join(guesses.tokens(), " "), milliseconds);
  if (c.confidence) fmt::print(out, "confidences: {:.4f}\n", fmt::join(guesses.confidences(), " "));
  const auto timed = static_cast<std::int64_t>(times.size());
  if (o.profile) profile.table(timed).print(out);
  nlohmann::json json = {
      {"draft", o.draft},
      {"layout", c.sample_from_anchor ? "anchor-first" : "1+N"},
      {"backend", o.machine.backend_text()},
      {"position", rows + 1},
      {"ms", milliseconds},
      {"tokens", std::vector<std::int32_t>(guesses.tokens().begin(), guesses.tokens().end())}};
  if (c.confidence)
    json["confidences"] =
        std::vector<float>(guesses.confidences().begin(), guesses.confidences().end());
  if (o.profile) json["profile"] = profile.json(timed);
  write_json(o.json, json);
  return 0;
}

}  // namespace

void add_draft_command(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand(
      "draft", "Guess with a DFlash or DSpark draft model, given hidden states of its target");
  const auto o = std::make_shared<DraftArguments>();
  app->add_option("--draft", o->draft,
                  "Folder (speculators, DeepSpec, z-lab) or GGUF file (dflash) of the draft model")
      ->required();
  app->add_option("--model", o->model, "The target, where the draft takes its embedding or head");
  app->add_option("--in", o->in,
                  "safetensors file: features f32 [T, taps * width], anchor i32 [1] (token at T)")
      ->required();
  app->add_option("--out", o->out, "Write tokens, logits and confidences to this safetensors file");
  app->add_option("--count", o->count, "Guesses at most; 0: all of the block")
      ->check(CLI::Range(0, 4096));
  app->add_option("--temperature", o->temperature, "Draw with this temperature; 0: the largest")
      ->check(CLI::Range(0.0, 1e6));
  app->add_option("--repeat", o->repeat,
                  "Propose so often; the time is the median of all but the first")
      ->check(CLI::Range(1, 100000));
  app->add_option("--seed", o->seed, "Of the noise");
  app->add_flag("--profile", o->profile, "Say where the time goes, by operator; on the CPU");
  app->add_option("--quantize", o->quantize, "Matrices of the draft become q8_0, q4_0 or q4_k")
      ->check(CLI::IsMember({"none", "q8_0", "q4_0", "q4_k"}));
  o->machine.add_threads(*app);
  o->machine.add_isa(*app);
  o->machine.add_backend(*app);
  o->machine.add_cache(*app);
  app->add_option("--json", o->json, "Write the result to this file; - is stdout");
  commands.push_back({app, [o] { return draft_once(*o); }});
}

}  // namespace kedge::tools
