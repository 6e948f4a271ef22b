// DsparkLoader: finds and fills the tensors of a draft model, whatever their names. Private to the
// compiled library; it throws what std containers throw.
#pragma once

#include "kedge/draft/dspark_model.hpp"
#include "model/loader.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class DsparkLoader : public ModelLoader {
 public:
  DsparkLoader(const ModelFiles& files, const Model::Options& options)
      : ModelLoader(files.tensors(), files.name(), options), gguf_(files.gguf() != nullptr) {}

  Result<std::shared_ptr<DsparkModel>> load(DsparkConfig config,
                                            std::shared_ptr<const Model> target);

 private:
  // The first of these names that there is; the first one where there is none.
  std::string named(std::initializer_list<const char*> names) const;
  bool has(const std::string& name) const { return files_.find(name) != nullptr; }
  Status check_target(DsparkConfig& config, const Model& target) const;
  Status vocabulary_ends(const Model* target, DsparkModel& model);
  Status markov(DsparkModel& model);
  Status confidence(DsparkModel& model);
  // A vector that is stored as one or as a matrix of one row.
  Status flat(const std::string& name, std::int64_t width, Tensor& target);
  Status map(DsparkModel& model);
  Status reach(DsparkModel& model);
  Status read_map(const FileTensor& tensor, DsparkModel& model);
  Status check_all_used() const;

  bool gguf_;
  bool own_embedding_ = false, own_output_ = false;
};

}  // namespace kedge::inline KEDGE_ABI::draft
