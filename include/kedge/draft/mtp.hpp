// Mtp: guesses by the layer that a model has for predicting further tokens (DeepSeek-AI 2024, arXiv
// 2412.19437, section 2.2; Qwen3.5's own). From the token at t + 1 and what the target has behind
// its final norm at t,
//   u = fc [ rms(embedding(token)); rms(hidden) ],  u = layer(u),  hidden' = rms(u)
// and the target's head gives the token at t + 2. Chained: the next guess takes this one and
// hidden'. The layer is one of attention with keys and values of its own, one row per position of
// the text; those of guesses are written behind it and never committed.
//
// Hidden states of the whole text are kept, F32: a text that was cut goes on behind any of them.
//
// Weights come from the files of the target, when a drafter is wanted: a model that nobody drafts
// for with it does not have them in memory.
#pragma once

#include <memory>

#include "kedge/backend/cpu.hpp"
#include "kedge/draft/drafter.hpp"
#include "kedge/model/model.hpp"

namespace kedge::inline KEDGE_ABI::draft {

struct MtpWeights {
  LayerWeights layer;
  Tensor fc;                           // [width, 2 width]: embedding, then hidden state
  Tensor embedding_norm, hidden_norm;  // [width]
  Tensor output_norm;                  // [width]
  Tensor embedding, output;            // the target's, or the layer's own
};

class KEDGE_API MtpModel {
 public:
  // `files` are those that the target was loaded from. Code::not_found when they have no such
  // layer.
  static Result<std::shared_ptr<const MtpModel>> load(const ModelFiles& files,
                                                      std::shared_ptr<const Model> target,
                                                      const Model::Options& options) noexcept;

  const Model& target() const noexcept { return *target_; }
  const MtpWeights& weights() const noexcept { return weights_; }
  std::size_t weight_bytes() const noexcept { return memory_.size(); }

 private:
  friend class MtpLoader;
  MtpWeights weights_;
  std::shared_ptr<const Model> target_;
  WeightMemory memory_;
};

class KEDGE_API Mtp {
 public:
  struct Options {
    std::int64_t length = 3;     // guesses of a proposal, at most
    std::int64_t positions = 0;  // of the text; 0: the target's, at most 8192
    std::int64_t rows = 256;     // of one pass over what several rounds left
    Element cache = Element::f16;
    Allocator allocator = default_allocator();
  };

  static Result<Mtp> create(std::shared_ptr<const MtpModel> model, const Cpu& cpu,
                            const Options& options) noexcept;
  Mtp(Mtp&&) noexcept;
  Mtp& operator=(Mtp&&) noexcept;
  ~Mtp();

  Status begin(std::span<const std::int32_t> tokens) noexcept;
  Status append(std::span<const std::int32_t> tokens) noexcept;
  Status truncate(std::int64_t count) noexcept;
  std::span<const std::int32_t> taps() const noexcept;  // behind the final norm
  Status evaluated(std::int64_t position, const Tensor& features) noexcept;
  Status propose(const Ask& ask, Draft& draft) noexcept;
  void feedback(const Outcome&) noexcept {}
  const char* name() const noexcept { return "mtp"; }

  // Of the last guess of the last proposal, for tests.
  std::span<const float> logits() const noexcept;

 private:
  struct State;
  explicit Mtp(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

static_assert(Drafter<Mtp> && Truncates<Mtp> && ReadsFeatures<Mtp>);

}  // namespace kedge::inline KEDGE_ABI::draft
