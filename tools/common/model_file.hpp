// A model with the text parts of its file, as far as it has them.
#pragma once

#include <CLI/CLI.hpp>
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
  std::string path;

  const text::Tokenizer& need_tokenizer() const;  // a Failure with the reason
  // The prompt as the model wants it: a beginning-of-sequence token where it takes one.
  std::vector<std::int32_t> encode(std::string_view prompt) const;
  std::vector<std::int32_t> encode_as_chat(const std::string& prompt) const;
};

// Options of commands that load a model.
struct LoadOptions {
  std::string memory_budget, quantize;
  PackedWeights packed;
  std::shared_ptr<Accelerator> accelerator;  // null: the CPU

  void add(CLI::App& app);
  // For weights, cache and activations together; 0: no limit. A Failure names the option.
  std::uint64_t budget() const;
  // What of the budget is left for a session on this model.
  std::uint64_t session_budget(const Model& model) const;
};

// "500000", "300K", "1.5G": bytes, with powers of 1024. A Failure names the option.
std::uint64_t parse_bytes(const std::string& text, const std::string& option);

// A GGUF file, a shard of one, or a folder. Shows progress; the executor's workers pack the
// weights.
ModelFile load_model(const std::string& path, Executor* executor, const LoadOptions& options = {});

}  // namespace kedge::tools
