// kedge tokenize: the token numbers of texts, from a model's tokenizer or a tokenizer.json.
#include <memory>
#include <nlohmann/json.hpp>

#include "common/command.hpp"
#include "common/failure.hpp"
#include "common/output.hpp"
#include "common/tokens.hpp"

namespace kedge::tools {

namespace {

struct TokenizeArguments {
  std::string model, tokenizer, text, file, lines_json;
  bool json = false, pieces = false, prefix = false;
  text::EncodeOptions encode;
};

// A JSON string per line; lines without one are refused.
std::vector<std::string> parse_lines(const std::string& all, const std::string& place) {
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = std::min(all.find('\n', at), all.size());
    const auto json = nlohmann::json::parse(all.begin() + static_cast<std::ptrdiff_t>(at),
                                            all.begin() + static_cast<std::ptrdiff_t>(end), nullptr,
                                            /*allow_exceptions=*/false);
    if (!json.is_string())
      fail_with(Code::malformed, place, "line {}: expected a JSON string", texts.size() + 1);
    texts.push_back(json.get<std::string>());
    at = end + 1;
  }
  return texts;
}

std::vector<std::string> texts_of(const TokenizeArguments& o) {
  if (!o.file.empty()) return {read_text_file(o.file)};
  if (!o.lines_json.empty()) return parse_lines(read_text_file(o.lines_json), o.lines_json);
  return {o.text};
}

int tokenize(const TokenizeArguments& o) {
  const text::Tokenizer tokenizer = load_tokenizer(o.model.empty() ? o.tokenizer : o.model);
  std::string out;
  for (const std::string& one : texts_of(o)) {
    std::vector<std::int32_t> ids;
    if (o.prefix) ids.assign(tokenizer.prefix().begin(), tokenizer.prefix().end());
    must(tokenizer.append(one, o.encode, ids));
    if (o.json) {
      out += nlohmann::json(ids).dump();
    } else if (o.pieces) {
      for (const std::int32_t id : ids)
        out += fmt::format("{:>8}  \"{}\"\n", id, printable(tokenizer.token_bytes(id), 200));
      continue;
    } else {
      for (std::size_t i = 0; i < ids.size(); ++i)
        out += fmt::format("{}{}", i == 0 ? "" : " ", ids[i]);
    }
    out += '\n';
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
  return 0;
}

}  // namespace

void add_tokenize(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand("tokenize", "Turn texts into token numbers");
  const auto o = std::make_shared<TokenizeArguments>();
  CLI::Option_group* from = app->add_option_group("Tokenizer", "One of these");
  from->add_option("--model", o->model, "GGUF file, or a folder with tokenizer.json");
  from->add_option("--tokenizer", o->tokenizer, "tokenizer.json, or its folder, or a GGUF file");
  from->require_option(1);
  CLI::Option_group* texts = app->add_option_group("Text", "One of these");
  texts->add_option("--text", o->text, "The text itself");
  texts->add_option("--file", o->file, "File that holds the text; - is stdin");
  texts->add_option("--lines-json", o->lines_json,
                    "File with a JSON string on every line, each a text; - is stdin");
  texts->require_option(1);
  app->add_flag("--parse-special", o->encode.parse_special,
                "Read special tokens' texts as the tokens; else they are text");
  app->add_flag("--prefix", o->prefix, "Begin with what a prompt begins with");
  app->add_flag("--drop-missing-bytes", o->encode.drop_missing_bytes,
                "Leave out bytes that have no token instead of failing");
  CLI::Option* json = app->add_flag("--json", o->json, "Print a JSON array per text");
  app->add_flag("--pieces", o->pieces, "Print a token per line with its text")->excludes(json);
  commands.push_back({app, [o] { return tokenize(*o); }});
}

}  // namespace kedge::tools
