// ModelLoader: finds every tensor of a model in its files, checks shapes, lays the packed weights
// out in the order in which a step reads them, and fills them. Private to the compiled library; it
// throws what std containers throw.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/architecture.hpp"

namespace kedge::inline KEDGE_ABI {

class Packer;

// Which rows of a file's matrix a target takes: `run` of every `stride`, from `first` on. run 0:
// all.
struct RowRuns {
  std::int64_t run = 0, stride = 0, first = 0;
  std::int64_t source(std::int64_t row) const noexcept {
    return run == 0 ? row : first + row / run * stride + row % run;
  }
};

// What happens to a vector's values on the way.
enum class Conversion : std::uint8_t { none, add_one, minus_exp };

// One tensor of the files and its place in the model's memory. Matrices go into panels, or stay
// rows on an accelerator; vectors and the taps of a convolution become F32.
struct LoadItem {
  const FileTensor* source;
  Tensor* target;
  std::size_t offset, bytes;
  Conversion conversion = Conversion::none;
  RowRuns runs = {};
  bool matrix = false;
  std::uint64_t digest = 0;  // of the target's bytes, where the host does not see them

  bool is_matrix() const noexcept { return matrix; }
  std::uint64_t stored() const noexcept {  // bytes of the source that it takes
    if (!is_matrix()) return source->bytes;
    return static_cast<std::uint64_t>(target->rows()) *
           row_bytes(source->element, source->extent[1]);
  }
};

// What a drafter is loaded with: where its target is.
inline Result<Model::Options> beside(const Model* target, const Model::Options& options,
                                     const char* place) {
  Model::Options placed = options;
  placed.packed = {};  // of the target alone
  if (target == nullptr) return placed;
  if (placed.accelerator == nullptr) placed.accelerator = target->accelerator();
  if (placed.accelerator != target->accelerator())
    return fail(Code::invalid_argument, place,
                "a drafter that has weights of its target must be where that is");
  return placed;
}

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

 protected:  // of loaders of draft models too (draft/)
  Result<const FileTensor*> find(const std::string& name);
  Result<const FileTensor*> find(const std::string& name, int rank, std::int64_t rows,
                                 std::int64_t width);
  Status matrix(const FileTensor* source, std::int64_t rows, bool may_quantize, RowRuns runs,
                Tensor& target);
  Status matrix(const std::string& name, std::int64_t rows, std::int64_t width, Tensor& target);
  Status vector(const std::string& name, std::int64_t width, Tensor& target,
                Conversion conversion = Conversion::none);
  Status taps(const std::string& name, std::int64_t taps, std::int64_t channels, Tensor& target);
  Status query(const std::string& name, const LayerPart& part, const ModelConfig& config,
               Tensor& target);
  LoadItem& place(const FileTensor* source, Tensor& target, std::size_t bytes);
  // Lets the model's weights be those of the packed file; false: it is to be packed, and
  // packed_.why says what was wrong with the file. `digest` is of the mapped weights.
  Result<bool> use_packed(Model& model, std::uint64_t& digest);
  Status make_packed(Model& model, std::uint64_t digest);
  // Takes memory for all items and fills it; refused when the budget does not allow it.
  Status fill(WeightMemory& memory, Packer& packer);
  Status take_memory(WeightMemory& memory);
  Status part(const LayerPart& part, const std::string& prefix, const ModelConfig& config,
              const PartNames& names, LayerWeights& layer);
  Status layers(const ModelConfig& config, const PartNames& names, ModelWeights& weights);
  Status further_layers(const ModelConfig& config, const PartNames& names);
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
