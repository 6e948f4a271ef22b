#include "kedge/model/model.hpp"

#include "io/guarded.hpp"
#include "model/loader.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

Result<std::shared_ptr<const Model>> load_from(const TensorDirectory& tensors, const char* place,
                                               ModelConfig config, const PartNames& names,
                                               const Model::Options& options) {
  ModelLoader loader(tensors, place, options);
  KEDGE_TRY(std::shared_ptr<Model> model, loader.describe(std::move(config), names));
  KEDGE_CHECK(loader.load(*model));
  return std::shared_ptr<const Model>(std::move(model));
}

const PartNames& names_of(const ModelFiles& files) noexcept {
  if (files.gguf() != nullptr) return gguf_names;
  const std::string embedding = nested_names.embedding + std::string(".weight");
  return files.tensors().find(embedding) != nullptr ? nested_names : folder_names;
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::load(const ModelFiles& files,
                                                 const Options& options) noexcept {
  return io::guarded(files.name(), [&]() -> Result<std::shared_ptr<const Model>> {
    KEDGE_TRY(ModelConfig config, read_config(files));
    return load_from(files.tensors(), files.name(), std::move(config), names_of(files), options);
  });
}

Result<std::shared_ptr<const Model>> Model::load(const io::Gguf& file,
                                                 const Options& options) noexcept {
  const char* place = file.source().name();
  return io::guarded(place, [&]() -> Result<std::shared_ptr<const Model>> {
    KEDGE_TRY(ModelConfig config, read_config(file));
    TensorDirectory tensors;
    KEDGE_CHECK(tensors.add(file));
    KEDGE_CHECK(tensors.finish());
    return load_from(tensors, place, std::move(config), gguf_names, options);
  });
}

Result<std::shared_ptr<const Model>> Model::load(const char* path,
                                                 const Options& options) noexcept {
  KEDGE_TRY(const ModelFiles files, ModelFiles::open(path));
  return load(files, options);
}

Result<MemoryEstimate> Model::estimate(const ModelFiles& files, const Options& options,
                                       const SessionShape& shape) noexcept {
  return io::guarded(files.name(), [&]() -> Result<MemoryEstimate> {
    KEDGE_TRY(ModelConfig config, read_config(files));
    ModelLoader loader(files.tensors(), files.name(), options);
    KEDGE_TRY(const std::shared_ptr<Model> model,
              loader.describe(std::move(config), names_of(files)));
    KEDGE_TRY(MemoryEstimate estimate, model->estimate(shape));
    estimate.weights = loader.weight_bytes();
    estimate.loading = loader.loading_bytes();
    return estimate;
  });
}

}  // namespace kedge::inline KEDGE_ABI
