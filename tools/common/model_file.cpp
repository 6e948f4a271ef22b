#include "common/model_file.hpp"

#include "common/failure.hpp"
#include "common/output.hpp"
#include "kedge/io/gguf.hpp"

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

ModelFile load_model(const std::string& path, Executor* executor) {
  ModelFile file;
  const io::Gguf gguf = must(io::Gguf::open(path.c_str()));
  Progress progress("loading");
  Model::Options options;
  options.executor = executor;
  options.progress.context = &progress;
  options.progress.report = [](void* context, const char* what, double done) noexcept {
    static_cast<Progress*>(context)->show(done, what);
    return true;
  };
  file.model = must(Model::load(gguf, options));
  if (auto tokenizer = text::Tokenizer::from_gguf(gguf)) file.tokenizer = *std::move(tokenizer);
  else file.no_tokenizer = tokenizer.error().reason;
  if (auto chat = text::ChatTemplate::from_gguf(gguf)) file.chat = *std::move(chat);
  else file.no_chat = chat.error().reason;
  return file;
}

}  // namespace kedge::tools
