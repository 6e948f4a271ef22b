#include "common/model_file.hpp"

#include <charconv>

#include "common/failure.hpp"
#include "common/output.hpp"
#include "kedge/model/files.hpp"

namespace kedge::tools {

namespace {

void begin_sequence(const text::Tokenizer& tokenizer, std::vector<std::int32_t>& ids) {
  if (!tokenizer.add_bos() || !tokenizer.bos()) return;
  if (ids.empty() || ids.front() != *tokenizer.bos()) ids.insert(ids.begin(), *tokenizer.bos());
}

}  // namespace

const text::Tokenizer& ModelFile::need_tokenizer() const {
  if (!tokenizer)
    throw Failure(1, to_string(Code::unsupported), "tokenizer",
                  no_tokenizer + "; give the prompt as --tokens");
  return *tokenizer;
}

std::vector<std::int32_t> ModelFile::encode(std::string_view prompt) const {
  std::vector<std::int32_t> ids = must(need_tokenizer().encode(prompt));
  begin_sequence(*tokenizer, ids);
  return ids;
}

std::vector<std::int32_t> ModelFile::encode_as_chat(const std::string& prompt) const {
  const text::Tokenizer& to_ids = need_tokenizer();
  if (!chat) throw Failure(1, to_string(Code::unsupported), "chat template", no_chat);
  const text::Message message{"user", prompt};
  std::vector<std::int32_t> ids = must(text::encode_chat(to_ids, *chat, {&message, 1}, true));
  begin_sequence(to_ids, ids);
  return ids;
}

std::uint64_t parse_bytes(const std::string& text, const std::string& option) {
  double number = 0;
  const char *const end = text.data() + text.size(), *unit = text.data();
  const auto [next, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc()) unit = next;
  const std::string_view suffix(unit, static_cast<std::size_t>(end - unit));
  const double factor = suffix.empty()                     ? 1
                        : suffix == "K" || suffix == "KiB" ? 0x1p10
                        : suffix == "M" || suffix == "MiB" ? 0x1p20
                        : suffix == "G" || suffix == "GiB" ? 0x1p30
                                                           : 0;
  const double bytes = number * factor;
  if (!(bytes >= 1 && bytes < 0x1p62))
    bad_usage(option, "expected bytes as 500000, 300K, 20M or 1.5G, found \"{}\"", text);
  return static_cast<std::uint64_t>(bytes);
}

void LoadOptions::add(CLI::App& app) {
  app.add_option("--memory-budget", memory_budget,
                 "Most bytes for weights, cache and activations: 500000, 300K, 20M, 1.5G");
  app.add_option("--quantize", quantize, "Weights of F32, F16 or BF16 become q8_0, q4_0 or q4_k")
      ->check(CLI::IsMember({"q8_0", "q4_0", "q4_k"}));
  app.add_option(
      "--packed", packed.path,
      "File of the packed weights: mapped, or made where it is absent or of another model");
}

std::uint64_t LoadOptions::budget() const {
  return memory_budget.empty() ? 0 : parse_bytes(memory_budget, "--memory-budget");
}

std::uint64_t LoadOptions::session_budget(const Model& model) const {
  const std::uint64_t all = budget(), weights = model.weight_bytes();
  return all == 0 ? 0 : all > weights ? all - weights : 1;
}

ModelFile load_model(const std::string& path, Executor* executor, const LoadOptions& load) {
  ModelFile file;
  file.path = path;
  const ModelFiles files = must(ModelFiles::open(path.c_str()));
  Progress progress("loading");
  Model::Options options;
  options.executor = executor;
  options.memory_budget = load.budget();
  options.accelerator = load.accelerator;
  options.packed = load.packed;
  for (const Element element : {Element::q8_0, Element::q4_0, Element::q4_k})
    if (load.quantize == to_string(element)) options.quantize = element;
  options.progress.context = &progress;
  options.progress.report = [](void* context, const char* what, double done) noexcept {
    static_cast<Progress*>(context)->show(done, what);
    return true;
  };
  file.model = must(Model::load(files, options));
  progress.clear();
  const PackedOutcome& packed = file.model->packed();
  if (packed.made) fmt::print(stderr, "packed weights written to {}\n", load.packed.path);
  if (!packed.why.empty()) fmt::print(stderr, "packed weights: {}\n", packed.why);
  const io::Gguf* gguf = files.gguf();
  if (auto tokenizer = gguf != nullptr ? text::Tokenizer::from_gguf(*gguf)
                                       : text::Tokenizer::from_folder(path.c_str()))
    file.tokenizer = *std::move(tokenizer);
  else file.no_tokenizer = tokenizer.error().reason;
  if (auto chat = gguf != nullptr ? text::ChatTemplate::from_gguf(*gguf)
                                  : text::ChatTemplate::from_folder(path.c_str()))
    file.chat = *std::move(chat);
  else file.no_chat = chat.error().reason;
  return file;
}

}  // namespace kedge::tools
