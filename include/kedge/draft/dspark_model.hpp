// DsparkModel: the weights of a DFlash or DSpark draft model. Immutable and shared; it keeps the
// target alive, whose embedding and head it uses where it has none of its own.
#pragma once

#include <memory>

#include "kedge/draft/dspark_config.hpp"
#include "kedge/model/model.hpp"

namespace kedge::inline KEDGE_ABI::draft {

// Matrices are in panels, norms and biases F32. What a draft does not have is empty.
struct DsparkWeights {
  Tensor fc, hidden_norm;              // [width, taps * target width], [width]
  ModelWeights backbone;               // its output is [draft vocabulary, width]
  Tensor w1, w2;                       // Markov: [vocabulary, rank], [draft vocabulary, rank]
  Tensor reach;                        // largest norm of each 16 rows of w2, where that is of use
  Tensor projection, projection_bias;  // [rank, width + rank], or [3 rank, 2 rank + width]
  Tensor confidence, confidence_bias;  // [width + rank] or [width], [1]
};

class KEDGE_API DsparkModel {
 public:
  // Reads and checks everything against the target: its width and vocabulary, the layers that are
  // tapped. Options as of Model::load; quantize: the draft's own matrices. Errors name the file,
  // the key or tensor, and the shapes.
  static Result<std::shared_ptr<const DsparkModel>> load(const ModelFiles& files,
                                                         std::shared_ptr<const Model> target,
                                                         const Model::Options& options) noexcept;
  static Result<std::shared_ptr<const DsparkModel>> load(const char* path,
                                                         std::shared_ptr<const Model> target,
                                                         const Model::Options& options) noexcept;
  // Without a target, for tools that have hidden states from elsewhere: a draft that lacks an
  // embedding or a head is an error.
  static Result<std::shared_ptr<const DsparkModel>> load(const ModelFiles& files,
                                                         const Model::Options& options) noexcept;

  const DsparkConfig& config() const noexcept { return config_; }
  const DsparkWeights& weights() const noexcept { return weights_; }
  // Of a row of the draft's head; i itself without a map.
  std::int32_t target_token(std::int32_t i) const noexcept {
    return map_.data() == nullptr ? i : map_.as<std::int32_t>()[i];
  }
  bool mapped() const noexcept { return map_.data() != nullptr; }
  const std::int32_t* map() const noexcept { return map_.as<std::int32_t>(); }
  // Null: the CPU.
  const std::shared_ptr<Accelerator>& accelerator() const noexcept { return accelerator_; }
  std::size_t weight_bytes() const noexcept { return memory_.size() + reach_.size(); }

 private:
  friend class DsparkLoader;
  DsparkConfig config_;
  DsparkWeights weights_;
  std::shared_ptr<const Model> target_;
  std::shared_ptr<Accelerator> accelerator_;
  WeightMemory memory_;
  Buffer map_, reach_;
};

}  // namespace kedge::inline KEDGE_ABI::draft
