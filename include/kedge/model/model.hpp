// Model: immutable weights and configuration, shared by any number of sessions. Weights are packed
// into 16-row panels in the order in which a step reads them.
#pragma once

#include <memory>
#include <vector>

#include "kedge/backend/cpu.hpp"
#include "kedge/core/buffer.hpp"
#include "kedge/io/gguf.hpp"
#include "kedge/model/config.hpp"

namespace kedge::inline KEDGE_ABI {

// What a load or any other long work reports; return false to stop it (Code::cancelled).
struct Progress {
  bool (*report)(void* context, const char* what, double done) noexcept = nullptr;
  void* context = nullptr;
};

struct LlamaLayer {
  Tensor attention_norm, q, k, v, attention_output;
  Tensor feed_forward_norm, gate, up, down;
};

struct LlamaWeights {
  Tensor embedding;  // [vocabulary, width]
  std::vector<LlamaLayer> layers;
  Tensor output_norm;
  Tensor output;  // [vocabulary, width]; the embedding itself when tied
};

class KEDGE_API Model {
 public:
  struct Options {
    Executor* executor = nullptr;  // packs with its workers; null: the calling thread
    Progress progress;
    Allocator allocator = default_allocator();
  };

  // Errors name the file and the key or tensor. The file is not needed after the call.
  static Result<std::shared_ptr<const Model>> load(const io::Gguf& file,
                                                   const Options& options) noexcept;
  static Result<std::shared_ptr<const Model>> load(const char* path,
                                                   const Options& options) noexcept;

  const ModelConfig& config() const noexcept { return config_; }
  const LlamaWeights& weights() const noexcept { return weights_; }

  // Of configuration and weights: tells saved states of different models apart (core/hash.hpp).
  std::uint64_t fingerprint() const noexcept { return fingerprint_; }

  std::size_t weight_bytes() const noexcept { return memory_.size(); }
  // Bytes of weights that a step reads once, whatever its rows: the floor of its time.
  std::size_t step_bytes() const noexcept { return step_bytes_; }

 private:
  ModelConfig config_;
  LlamaWeights weights_;
  Buffer memory_, rope_factors_;
  std::size_t step_bytes_ = 0;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI
