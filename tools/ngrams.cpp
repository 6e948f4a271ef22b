// kedge ngrams: counts what follows the n-grams of texts, for the drafter `cache`.
#include <memory>

#include "common/command.hpp"
#include "common/failure.hpp"
#include "common/output.hpp"
#include "common/tokens.hpp"
#include "kedge/draft/ngram_counts.hpp"

namespace kedge::tools {

namespace {

struct NgramsArguments {
  std::string tokenizer, out;
  std::vector<std::string> texts, add;
  bool pairs = false;
};

int ngrams(const NgramsArguments& o) {
  const text::Tokenizer tokenizer = load_tokenizer(o.tokenizer);
  std::vector<std::vector<std::int32_t>> texts;
  std::int64_t tokens = 0;
  for (const std::string& file : o.texts) {
    texts.push_back(must(tokenizer.encode(read_text_file(file))));
    tokens += std::ssize(texts.back());
  }
  std::vector<draft::NgramCounts> given;
  const std::int64_t shortest = o.pairs ? 2 : 1;
  const std::int64_t longest = o.pairs ? 2 : draft::NgramCounts::longest;
  auto room = draft::NgramCounts::for_text(tokens, longest - shortest + 1);
  for (const std::string& file : o.add) {
    draft::NgramCounts::LoadOptions options;
    options.vocabulary = tokenizer.size();
    given.push_back(must(draft::NgramCounts::load(must(io::Source::open(file.c_str())), options)));
    room.ngrams += static_cast<std::int64_t>(given.back().ngrams());
    room.followers += static_cast<std::int64_t>(given.back().followers());
  }
  draft::NgramCounts counts = must(draft::NgramCounts::create(room));
  for (const draft::NgramCounts& one : given) must(counts.take_in(one));
  for (const auto& one : texts) must(counts.learn(one, 0, shortest, longest));
  io::Sink sink = must(io::Sink::create(o.out.c_str()));
  must(counts.save(sink));
  must(sink.finish());
  fmt::print("{} tokens in {} texts: {} n-grams with {} followers, {}\n", grouped(tokens),
             texts.size(), grouped(static_cast<std::int64_t>(counts.ngrams())),
             grouped(static_cast<std::int64_t>(counts.followers())),
             bytes_text(static_cast<double>(sink.position())));
  return 0;
}

}  // namespace

void add_ngrams(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand(
      "ngrams", "Count what follows the n-grams of texts, for --draft cache:dynamic=FILE");
  const auto o = std::make_shared<NgramsArguments>();
  app->add_option("--model", o->tokenizer,
                  "Whose tokenizer: a GGUF file, a folder, or a tokenizer.json")
      ->required();
  app->add_option("--out", o->out, "The file to write")->required();
  app->add_option("--add", o->add, "A file of counts that is taken in; may be given several times")
      ->allow_extra_args(false);
  app->add_flag("--pairs", o->pairs, "Only what follows two tokens, for cache:static=FILE");
  app->add_option("texts", o->texts, "Files that hold the texts; - is stdin");
  commands.push_back({app, [o] {
                        if (o->texts.empty() && o->add.empty())
                          bad_usage("usage", "expected texts or --add");
                        return ngrams(*o);
                      }});
}

}  // namespace kedge::tools
