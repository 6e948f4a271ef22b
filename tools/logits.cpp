// kedge logits: the logits of every position of a token list, as a safetensors file. They are
// written pass by pass, so a long list needs no more memory than a short one.
#include <memory>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/model_file.hpp"
#include "common/output.hpp"
#include "common/tokens.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/state/sequence.hpp"

namespace kedge::tools {

namespace {

struct LogitsArguments {
  std::string model, tokens, tokens_file, out, json;
  std::int64_t width = 16;
  MachineOptions machine;
  LoadOptions load;
};

// A safetensors header for one F32 tensor; the data follows.
std::string header(const std::string& name, std::size_t rows, std::size_t columns) {
  const nlohmann::json json = {{name,
                                {{"dtype", "F32"},
                                 {"shape", {rows, columns}},
                                 {"data_offsets", {std::size_t{0}, rows * columns * 4}}}}};
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i) & 0xFF);
  return length + text;
}

int logits(const LogitsArguments& o) {
  const std::vector<std::int32_t> tokens =
      o.tokens.empty() ? parse_tokens(read_text_file(o.tokens_file), o.tokens_file)
                       : parse_tokens(o.tokens, "--tokens");
  const cpu::Isa isa = o.machine.chosen_isa();
  const std::unique_ptr<Executor> executor = o.machine.executor();
  LoadOptions load = o.load;
  load.accelerator = o.machine.accelerator();
  const ModelFile file = load_model(o.model, executor.get(), load);
  const ModelConfig& config = file.model->config();
  const Cpu cpu = must(Cpu::create({isa, executor.get()}));

  KvCache::Options kv;
  kv.element = o.machine.cache_element();
  kv.positions = static_cast<std::int64_t>(tokens.size());
  kv.storage = file.model->state_storage();
  KvCache cache =
      must(KvCache::create(config.attention_layers(), config.kv_heads, config.head_dim, kv));
  Forward::Options options;
  options.max_rows = options.max_outputs = std::min(o.width, kv.positions);
  RecurrentState recurrent;
  if (!config.recurrent.empty())
    recurrent = must(RecurrentState::create(config.recurrent, {.storage = kv.storage}));
  Forward forward = must(Forward::create(file.model, cpu, cache, options, recurrent.or_null()));
  Sequence sequence = must(Sequence::create(cache, recurrent.or_null()));

  io::Sink sink = must(io::Sink::create(o.out.c_str()));
  const auto put = [&](const void* data, std::size_t bytes) {
    must(sink.write({static_cast<const std::byte*>(data), bytes}));
  };
  const std::string head =
      header("logits", tokens.size(), static_cast<std::size_t>(config.vocabulary));
  put(head.data(), head.size());
  Progress progress("logits");
  std::vector<Row> rows;
  const auto step = static_cast<std::size_t>(options.max_rows);
  for (std::size_t first = 0; first < tokens.size(); first += step) {
    progress.show(static_cast<double>(first) / static_cast<double>(tokens.size()));
    rows.clear();
    for (std::size_t i = first; i < std::min(first + step, tokens.size()); ++i)
      rows.push_back({tokens[i], static_cast<std::int32_t>(i), sequence.index(), Need::logits});
    const auto count = static_cast<std::int64_t>(rows.size());
    Transaction transaction = must(sequence.begin(count));
    must(forward.run(rows));
    must(transaction.commit(count));
    for (std::int64_t i = 0; i < count; ++i)
      put(forward.logits(i).data(), forward.logits(i).size_bytes());
  }
  must(sink.finish());
  progress.clear();
  fmt::print(text_stream(o.json), "logits [{}, {}] f32, {} rows a call, {}, written to {}\n",
             tokens.size(), config.vocabulary, options.max_rows, to_string(isa), o.out);
  write_json(o.json, {{"tokens", tokens.size()},
                      {"vocabulary", config.vocabulary},
                      {"width", options.max_rows},
                      {"isa", to_string(isa)},
                      {"backend", o.machine.backend_text()},
                      {"threads", executor->workers()},
                      {"out", o.out}});
  return 0;
}

}  // namespace

void add_logits(CLI::App& root, Commands& commands) {
  CLI::App* app =
      root.add_subcommand("logits", "Write the logits of every position as safetensors");
  const auto o = std::make_shared<LogitsArguments>();
  app->add_option("--model", o->model, "GGUF file, or folder with config.json")->required();
  CLI::Option_group* tokens = app->add_option_group("Tokens", "One of these");
  tokens->add_option("--tokens", o->tokens, "Token numbers: 1,2,3");
  tokens->add_option("--tokens-file", o->tokens_file,
                     "File of token numbers, one a line or with commas; - is stdin");
  tokens->require_option(1);
  app->add_option("--width", o->width, "Rows of one call; the bytes do not depend on it")
      ->check(CLI::Range(1, 4096));
  o->machine.add_backend(*app);
  o->machine.add_threads(*app);
  o->machine.add_isa(*app);
  o->machine.add_cache(*app);
  o->load.add(*app);
  app->add_option("--out", o->out, "File to write: tensor `logits`, f32 [tokens, vocabulary]")
      ->required();
  app->add_option("--json", o->json, "Write a summary to this file; - is stdout");
  commands.push_back({app, [o] { return logits(*o); }});
}

}  // namespace kedge::tools
