// ModelLoader: finds every tensor of a model in its files, checks shapes, lays the packed weights
// out in the order in which a step reads them, and fills them. Private to the compiled library; it
// throws what std containers throw.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/architecture.hpp"

namespace kedge::inline KEDGE_ABI {

// One tensor of the files and its place in the model's memory. Matrices go into panels, vectors
// become F32.
struct LoadItem {
  const FileTensor* source;
  Tensor* target;
  std::size_t offset, bytes;
};

class ModelLoader {
 public:
  ModelLoader(const TensorDirectory& files, const char* place, const Model::Options& options)
      : files_(files), place_(place), options_(options) {}

  // The model with its configuration and its weights' shapes, but without memory.
  Result<std::shared_ptr<Model>> describe(ModelConfig config, const PartNames& names);
  // Bytes of the packed weights, and of the buffers of load().
  std::size_t weight_bytes() const noexcept { return bytes_; }
  std::size_t loading_bytes() const noexcept;
  // Gives the described model its memory and its weights.
  Status load(Model& model);

 private:
  Result<const FileTensor*> find(const std::string& name, int rank, std::int64_t rows,
                                 std::int64_t width);
  Status matrix(const std::string& name, std::int64_t rows, std::int64_t width, Tensor& target);
  Status vector(const std::string& name, std::int64_t width, Tensor& target);
  void place(const FileTensor* source, Tensor& target, std::size_t bytes);
  Status layers(const ModelConfig& config, const PartNames& names, ModelWeights& weights);
  Status rope_factors(const ModelConfig& config);
  Status check_all_used(const ModelConfig& config) const;

  const TensorDirectory& files_;
  const char* place_;
  const Model::Options& options_;
  std::vector<LoadItem> items_;
  std::vector<bool> used_;  // by index in the directory
  std::size_t bytes_ = 0;
  Tensor rope_factors_;  // empty when the files have none
  const FileTensor* rope_source_ = nullptr;
};

}  // namespace kedge::inline KEDGE_ABI
