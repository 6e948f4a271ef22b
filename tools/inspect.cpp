// kedge inspect: what is in a GGUF file, a folder or a safetensors file, what Kedge can do with it,
// and how much memory that takes.
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/failure.hpp"
#include "common/output.hpp"
#include "kedge/draft/dspark_config.hpp"
#include "kedge/io/safetensors.hpp"
#include "kedge/model/model.hpp"
#include "kedge/state/kv_page.hpp"
#include "kedge/state/recurrent_policy.hpp"
#include "kedge/text/chat_template.hpp"
#include "kedge/text/tokenizer.hpp"

namespace kedge::tools {

namespace {

struct InspectArguments {
  std::string file, json;
  bool tensors = false;
};

std::string array_text(const io::GgufArray& array) {
  constexpr std::size_t shown = 4;
  std::string text = fmt::format("{} x {}: [", array.size(), io::to_string(array.type));
  for (std::size_t i = 0; i < std::min(shown, array.size()); ++i) {
    if (i > 0) text += ", ";
    if (i < array.strings.size()) text += '"' + printable(array.strings[i], 20) + '"';
    else if (i < array.floats.size()) text += fmt::format("{}", array.floats[i]);
    else if (i < array.integers.size()) text += fmt::format("{}", array.integers[i]);
    else text += "[...]";
  }
  return text + (array.size() > shown ? ", ...]" : "]");
}

std::string value_text(const io::GgufValue& value, std::size_t limit) {
  return std::visit(
      [limit](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) return printable(v, limit);
        else if constexpr (std::is_same_v<T, std::shared_ptr<const io::GgufArray>>)
          return array_text(*v);
        else return fmt::format("{}", v);
      },
      value.value);
}

template <class Extents>
std::string shape_text(const Extents& extents, std::size_t rank) {
  std::string text = "[";
  for (std::size_t i = 0; i < rank; ++i)
    text += fmt::format("{}{}", i == 0 ? "" : ", ", extents[i]);
  return text + "]";
}

struct Total {
  std::size_t count = 0;
  double bytes = 0;
};

void print_totals(const std::map<std::string, Total>& totals, nlohmann::json& json,
                  std::FILE* out) {
  Table table;
  table.column("type", Table::Align::left);
  table.column("tensors");
  table.column("bytes");
  for (const auto& [type, total] : totals) {
    table.row({type, std::to_string(total.count), bytes_text(total.bytes)});
    json["totals"][type] = {{"tensors", total.count}, {"bytes", total.bytes}};
  }
  std::fputs("\n", out);
  table.print(out);
}

Table tensor_table() {
  Table table;
  table.column("tensor", Table::Align::left);
  table.column("type", Table::Align::left);
  table.column("shape", Table::Align::left);
  table.column("bytes");
  return table;
}

void say_memory(const MemoryEstimate& e, Table& table, nlohmann::json& json) {
  const auto text = [](std::uint64_t bytes) { return bytes_text(static_cast<double>(bytes)); };
  table.row({"packed weights",
             fmt::format("{} ({} while loading)", text(e.weights), text(e.weights + e.loading))});
  table.row({fmt::format("cache of {} positions", e.context), text(e.kv) + " in f16"});
  if (e.recurrent > 0)
    table.row(
        {"recurrent state and landmarks", fmt::format("{} ({}, depth {})", text(e.recurrent),
                                                      to_string(e.policy.kind), e.policy.depth)});
  table.row({"activations and tables", text(e.activations + e.tables + e.sampling)});
  table.row({"memory in all", text(e.total())});
  json["memory"] = {{"stored", e.stored},
                    {"weights", e.weights},
                    {"loading", e.loading},
                    {"context", e.context},
                    {"kv_per_position", e.kv_per_position},
                    {"kv", e.kv},
                    {"recurrent", e.recurrent},
                    {"activations", e.activations},
                    {"tables", e.tables},
                    {"sampling", e.sampling},
                    {"total", e.total()}};
}

// Layers whose state does not grow, and what each way of keeping it takes.
void say_recurrent(const ModelConfig& c, Table& table, nlohmann::json& json) {
  const RecurrentShape& shape = c.recurrent;
  table.row({"recurrent layers",
             fmt::format("{} of {}: gated delta rule, {} key heads of {}, {} value heads of {} "
                         "({}), convolution of {} over {} channels",
                         shape.layers, c.layers, shape.key_heads, shape.key_dim, shape.value_heads,
                         shape.value_dim, shape.grouped ? "grouped" : "tiled", shape.conv_width,
                         shape.channels)});
  json["recurrent"] = {{"layers", shape.layers},           {"key_heads", shape.key_heads},
                       {"value_heads", shape.value_heads}, {"key_dim", shape.key_dim},
                       {"value_dim", shape.value_dim},     {"grouped", shape.grouped},
                       {"channels", shape.channels},       {"conv_width", shape.conv_width}};
  const std::int64_t drafts = SessionShape{}.max_outputs - 1;
  std::string text;
  for (const RecurrentPolicy& p :
       {RecurrentPolicy::snapshots(drafts + 1), RecurrentPolicy::replay(drafts + 1),
        RecurrentPolicy::checkpoint()}) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ",
                        bytes_text(static_cast<double>(p.bytes(shape))), to_string(p.kind));
    json["recurrent_bytes_per_sequence"][to_string(p.kind)] = p.bytes(shape);
  }
  json["recurrent_plane_bytes"] = shape.plane_bytes();
  json["recurrent_drafts"] = drafts;
  table.row(
      {"recurrent state",
       fmt::format("{} per sequence with drafts of {}; {} a landmark", text, drafts,
                   bytes_text(static_cast<double>(shape.plane_bytes() +
                                                  static_cast<std::uint64_t>(shape.conv_width - 1) *
                                                      shape.column_bytes())))});
}

void describe(const ModelFiles& files, const std::string& path, nlohmann::json& json,
              std::FILE* out) {
  Table table = Table::of_pairs();
  const auto say = [&](const char* what, const std::string& text, bool yes) {
    table.row({what, (yes ? "" : "no: ") + text});
    json["support"][what] = {{"supported", yes}, {"text", text}};
  };
  std::map<std::string, std::size_t> unknown;
  for (const FileTensor& t : files.tensors().tensors())
    if (!t.supported) ++unknown[t.type];
  const auto config = read_config(files);
  if (config) {
    say("architecture",
        fmt::format("{}: {} layers, width {}, {} heads, {} key/value heads of {}, vocabulary {}, "
                    "context {}",
                    config->architecture, config->layers, config->width, config->heads,
                    config->kv_heads, config->head_dim, config->vocabulary, config->context),
        true);
    std::string caches;
    for (const Element e : {Element::f32, Element::f16, Element::bf16, Element::q8_0}) {
      if (!op::expect_cache_element("", e, config->head_dim)) continue;
      const KvPageLayout layout{e, config->kv_heads, config->head_dim, config->attention_layers()};
      const std::size_t bytes = layout.bytes_per_position();
      caches += fmt::format("{}{} {}", caches.empty() ? "" : ", ",
                            bytes_text(static_cast<double>(bytes)), to_string(e));
      json["kv_bytes_per_position"][to_string(e)] = bytes;
    }
    table.row({"keys and values", caches + " per position"});
    if (!config->recurrent.empty()) say_recurrent(*config, table, json);
    if (config->mtp_layers > 0) {
      table.row(
          {"further tokens",
           fmt::format("{} layer{} that predict{}: loaded by --draft mtp", config->mtp_layers,
                       config->mtp_layers == 1 ? "" : "s", config->mtp_layers == 1 ? "s" : "")});
      json["mtp_layers"] = config->mtp_layers;
    }
  } else {
    say("architecture", config.error().reason, false);
  }
  std::string formats;
  for (const auto& [type, count] : unknown)
    formats += fmt::format("{}{} tensors of {}", formats.empty() ? "" : ", ", count, type);
  say("tensor types", formats.empty() ? "all known" : formats, formats.empty());
  if (config) {
    if (const auto memory = Model::estimate(files, {}, {})) say_memory(*memory, table, json);
    else say("tensors", fmt::format("{}: {}", memory.error().place, memory.error().reason), false);
  }
  const io::Gguf* gguf = files.gguf();
  if (const auto tokenizer = gguf != nullptr ? text::Tokenizer::from_gguf(*gguf)
                                             : text::Tokenizer::from_folder(path.c_str()))
    say("tokenizer",
        fmt::format("{} tokens, pre-tokenizer {}", tokenizer->size(), tokenizer->pre()), true);
  else say("tokenizer", tokenizer.error().reason, false);
  if (const auto chat = gguf != nullptr ? text::ChatTemplate::from_gguf(*gguf)
                                        : text::ChatTemplate::from_folder(path.c_str()))
    say("chat template", std::string(chat->name()), true);
  else say("chat template", chat.error().reason, false);
  std::fputs("\nWhat Kedge can do with it\n", out);
  table.print(out);
}

// Everything that is silently wrong where it is misread is said (docs/drafters.md).
void describe_draft(const ModelFiles& files, nlohmann::json& json, std::FILE* out) {
  const draft::DsparkConfig c = must(draft::read_dspark_config(files));
  const std::string text = must(draft::describe(c));
  fmt::print(out, "\nA draft model (--draft {}:path=...)\n{}", c.rank > 0 ? "dspark" : "dflash",
             text);
  json["draft"] = {{"kind", c.kind()},
                   {"format", c.format},
                   {"sample_from_anchor", c.sample_from_anchor},
                   {"layout", c.layout},
                   {"block", c.block},
                   {"drafts", c.drafts()},
                   {"taps", c.taps},
                   {"mask_token", c.mask_token},
                   {"draft_vocabulary", c.draft_vocabulary},
                   {"rank", c.rank},
                   {"notes", c.notes}};
}

void print_metadata(const io::Gguf& file, nlohmann::json& json, std::FILE* out) {
  Table metadata;
  metadata.column("key", Table::Align::left);
  metadata.column("type", Table::Align::left);
  metadata.column("value", Table::Align::left);
  for (const auto& [key, value] : file.metadata()) {
    metadata.row({printable(key, 64), io::to_string(value.type), value_text(value, 72)});
    json["metadata"][key] = value_text(value, 4096);
  }
  metadata.print(out);
}

// A GGUF file, all shards of one, or a folder.
int inspect_model(const InspectArguments& o) {
  std::FILE* const out = text_stream(o.json);
  const ModelFiles files = must(ModelFiles::open(o.file.c_str()));
  const auto& list = files.tensors().tensors();
  double bytes = 0;
  for (const FileTensor& t : list) bytes += static_cast<double>(t.bytes);
  nlohmann::json json = {{"file", o.file}, {"files", files.files()}};
  if (const io::Gguf* gguf = files.gguf()) {
    json.update({{"format", "gguf"}, {"version", gguf->version()}});
    fmt::print(out, "{}: GGUF version {}, {} file{}, {} tensors of {}\n\n", o.file, gguf->version(),
               files.files(), files.files() == 1 ? "" : "s", list.size(), bytes_text(bytes));
    print_metadata(*gguf, json, out);
  } else {
    json["format"] = "folder";
    fmt::print(out, "{}: config.json and safetensors, {} file{}, {} tensors of {}\n", o.file,
               files.files(), files.files() == 1 ? "" : "s", list.size(), bytes_text(bytes));
  }
  std::map<std::string, Total> totals;
  Table tensors = tensor_table();
  for (const FileTensor& t : list) {
    Total& total = totals[t.type];
    ++total.count;
    total.bytes += static_cast<double>(t.bytes);
    tensors.row({printable(t.name, 64), t.type, shape_text(t.extent, t.rank),
                 grouped(static_cast<std::int64_t>(t.bytes))});
    json["tensors"].push_back({{"name", t.name},
                               {"type", t.type},
                               {"shape", std::vector<std::int64_t>(t.extent, t.extent + t.rank)},
                               {"bytes", t.bytes}});
  }
  if (o.tensors) {
    std::fputs("\n", out);
    tensors.print(out);
  }
  print_totals(totals, json, out);
  if (draft::is_dspark(files)) describe_draft(files, json, out);
  else describe(files, o.file, json, out);
  write_json(o.json, json);
  return 0;
}

int inspect_safetensors(const InspectArguments& o) {
  std::FILE* const out = text_stream(o.json);
  const io::Safetensors file = must(io::Safetensors::open(o.file.c_str()));
  nlohmann::json json = {{"file", o.file}, {"format", "safetensors"}};
  fmt::print(out, "{}: safetensors, {}, {} tensors\n", o.file,
             bytes_text(static_cast<double>(file.source().size())), file.tensors().size());
  Table metadata = Table::of_pairs();
  for (const auto& [key, value] : file.metadata()) {
    metadata.row({printable(key, 64), printable(value, 72)});
    json["metadata"][key] = value;
  }
  metadata.print(out);
  std::map<std::string, Total> totals;
  Table tensors = tensor_table();
  for (const io::SafeTensor& t : file.tensors()) {
    Total& total = totals[io::to_string(t.type)];
    ++total.count;
    total.bytes += static_cast<double>(t.bytes);
    tensors.row({printable(t.name, 64), io::to_string(t.type), shape_text(t.shape, t.shape.size()),
                 grouped(static_cast<std::int64_t>(t.bytes))});
    json["tensors"].push_back({{"name", t.name},
                               {"type", io::to_string(t.type)},
                               {"shape", t.shape},
                               {"bytes", t.bytes}});
  }
  if (o.tensors) tensors.print(out);
  print_totals(totals, json, out);
  const bool packed = json.contains("metadata") && json["metadata"].contains("kedge.packed");
  std::fputs(packed ? "\nPacked weights of a model, for --packed (kedge pack).\n"
                    : "\nKedge reads its tensors for single operators (kedge op); a model's folder "
                      "has a config.json.\n",
             out);
  write_json(o.json, json);
  return 0;
}

// Whatever its name: the header begins with a brace, behind its length.
bool is_safetensors(const std::string& path) {
  if (path.ends_with(".safetensors")) return true;
  std::ifstream file(path, std::ios::binary);
  char start[9] = {};
  return file.read(start, sizeof start) && std::string_view(start, 4) != "GGUF" && start[8] == '{';
}

int inspect(const InspectArguments& o) {
  return is_safetensors(o.file) ? inspect_safetensors(o) : inspect_model(o);
}

}  // namespace

void add_inspect(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand("inspect", "Show a file and what Kedge can do with it");
  const auto o = std::make_shared<InspectArguments>();
  app->add_option("file", o->file, "GGUF file, folder with config.json, or safetensors file")
      ->required();
  app->add_flag("--tensors", o->tensors, "List every tensor");
  app->add_option("--json", o->json, "Write everything to this file; - is stdout");
  commands.push_back({app, [o] { return inspect(*o); }});
}

}  // namespace kedge::tools
