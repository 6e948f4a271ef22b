// --draft model:path=FILE
#include "kedge/draft/model.hpp"

#include "common/drafters/kinds.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "kedge/draft/vocabulary.hpp"

namespace kedge::tools {

namespace {

constexpr DraftKey model_keys[] = {
    {"path", nullptr, 0, 0, "GGUF file or folder of the draft model"},
    {"n", "4", 1, 31, "tokens at most"},
    {"branches", "1", 1, 64, "tokens behind one place; above 1: a tree of n tokens"},
    {"threads", "0", 0, 1024, "of its own; 0: the target's"},
    {"cache", "f16", 0, 0, "keys and values: f32, f16, bf16 or q8_0"},
    {"vocabulary", "same", 0, 0, "same, or map: tokens with equal texts"},
};

// Of two models without tokenizers only the sizes can be compared.
void expect_same_size(const ModelFile& target, const ModelFile& draft) {
  const std::int64_t expected = target.model->config().vocabulary,
                     found = draft.model->config().vocabulary;
  if (expected != found)
    fail_with(Code::invalid_argument, "draft vocabulary",
              "no tokenizers to compare ({}), and the target has {} tokens, the draft {}",
              target.tokenizer ? draft.no_tokenizer : target.no_tokenizer, expected, found);
}

}  // namespace

const DraftKind model_kind = {
    "model", "a smaller model of the same vocabulary guesses", model_keys,
    [](const DraftValues& values) { return values.number("n"); },
    [](const DraftValues& values, const DraftRequest& request) {
      draft::DraftModel::Options options;
      options.length = values.number("n");
      options.branches = values.number("branches");
      options.capacity = request.capacity;
      options.isa = request.isa;
      options.cache = cache_element_named(values.text("cache"));
      options.executor = request.executor;
      if (const std::int64_t threads = values.number("threads"); threads > 0)
        options.executor = request.shared->get(fmt::format("threads {}", threads), [&] {
          return std::shared_ptr<Executor>(
              must(make_default_executor(static_cast<unsigned>(threads))));
        });
      const std::string& how = values.text("vocabulary");
      if (how != "same" && how != "map")
        bad_usage("--draft", "model: vocabulary: expected same or map, found \"{}\"", how);
      const std::string& path = values.text("path");
      const ModelFile* file = request.shared->get("model " + path, [&] {
        LoadOptions load;  // where the target is
        if (request.target != nullptr) load.accelerator = request.target->model->accelerator();
        return std::make_shared<ModelFile>(load_model(path, options.executor, load));
      });
      draft::VocabularyMap map;
      if (request.target != nullptr) {
        options.target_vocabulary = request.target->model->config().vocabulary;
        if (how == "map") {
          map = must(draft::map_vocabulary(draft::vocabulary_of(request.target->need_tokenizer()),
                                           draft::vocabulary_of(file->need_tokenizer())));
          options.to_target = map.to_target;
          options.to_draft = map.to_draft;
          if (const auto unknown = file->tokenizer->unknown()) options.filler = *unknown;
        } else if (request.target->tokenizer && file->tokenizer) {
          must(draft::expect_same_vocabulary(draft::vocabulary_of(*request.target->tokenizer),
                                             draft::vocabulary_of(*file->tokenizer)));
        } else {
          expect_same_size(*request.target, *file);
        }
      }
      return must(draft::AnyDrafter::make(must(draft::DraftModel::create(file->model, options))));
    }};

}  // namespace kedge::tools
