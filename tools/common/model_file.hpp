// A model with the text parts of its file, as far as it has them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kedge/core/executor.hpp"
#include "kedge/model/model.hpp"
#include "kedge/text/chat_template.hpp"
#include "kedge/text/tokenizer.hpp"

namespace kedge::tools {

struct ModelFile {
  std::shared_ptr<const Model> model;
  std::optional<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat;
  std::string no_tokenizer, no_chat;  // the reason why it is missing

  const text::Tokenizer& need_tokenizer() const;  // a Failure with the reason
  // The prompt as the model wants it: a beginning-of-sequence token where it takes one.
  std::vector<std::int32_t> encode(std::string_view prompt) const;
  std::vector<std::int32_t> encode_as_chat(const std::string& prompt) const;
};

// Shows progress; the executor's workers pack the weights.
ModelFile load_model(const std::string& path, Executor* executor);

}  // namespace kedge::tools
