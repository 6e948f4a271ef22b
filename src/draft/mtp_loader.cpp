// The tensors of the layer that predicts further tokens: nextn.* of GGUF, mtp.* of folders.
#include "io/guarded.hpp"
#include "kedge/core/quantize.hpp"
#include "kedge/draft/mtp.hpp"
#include "model/loader.hpp"
#include "model/packer.hpp"

namespace kedge::inline KEDGE_ABI::draft {

class MtpLoader : public ModelLoader {
 public:
  MtpLoader(const ModelFiles& files, const Model::Options& options)
      : ModelLoader(files.tensors(), files.name(), options), gguf_(files.gguf() != nullptr) {}

  Result<std::shared_ptr<MtpModel>> load(std::shared_ptr<const Model> target) {
    const ModelConfig& c = target->config();
    if (c.mtp_layers == 0)
      return fail(Code::not_found, place_,
                  "architecture %s: no layer that predicts further tokens (%s)",
                  c.architecture.c_str(), gguf_ ? "nextn_predict_layers" : "mtp.fc.weight");
    if (options_.quantize && !can_quantize(*options_.quantize))
      return fail(Code::unsupported, place_, "quantize: there is no quantizer for %s",
                  to_string(*options_.quantize));
    auto model = std::make_shared<MtpModel>();
    used_.assign(files_.tensors().size(), false);
    const std::string layer =
        gguf_ ? gguf_names.layer + std::to_string(c.layers) + '.' : std::string("mtp.layers.0.");
    const PartNames& names = gguf_ ? gguf_names : folder_names;
    MtpWeights& w = model->weights_;
    for (const LayerPart& p : layer_parts())
      if (has_part(p, c, Mixer::attention)) KEDGE_CHECK(part(p, layer, c, names, w.layer));
    KEDGE_CHECK(further(layer, c, w));
    const std::string embedding = layer + "nextn.embed_tokens.weight",
                      output = layer + "nextn.shared_head_head.weight";
    const bool own_embedding = files_.find(embedding) != nullptr,
               own_output = files_.find(output) != nullptr;
    if (own_embedding) KEDGE_CHECK(matrix(embedding, c.vocabulary, c.width, w.embedding));
    if (own_output) KEDGE_CHECK(matrix(output, c.vocabulary, c.width, w.output));
    Packer packer(options_, place_);
    KEDGE_CHECK(fill(model->memory_, packer));
    if (!own_embedding) w.embedding = target->weights().embedding;
    if (!own_output) w.output = target->weights().output;
    model->target_ = std::move(target);
    return model;
  }

 private:
  Status further(const std::string& layer, const ModelConfig& c, MtpWeights& w) {
    Tensor* const targets[] = {&w.fc, &w.embedding_norm, &w.hidden_norm, &w.output_norm};
    std::size_t i = 0;
    for (const FurtherPart& p : further_parts()) {
      const std::string name = (gguf_ ? layer + p.gguf : std::string(p.folder)) + ".weight";
      Tensor& target = *targets[i++];
      if (p.matrix) KEDGE_CHECK(matrix(name, c.width, 2 * c.width, target));
      else  // folders store what is added to 1
        KEDGE_CHECK(vector(name, c.width, target, gguf_ ? Conversion::none : Conversion::add_one));
    }
    return {};
  }

  bool gguf_;
};

Result<std::shared_ptr<const MtpModel>> MtpModel::load(const ModelFiles& files,
                                                       std::shared_ptr<const Model> target,
                                                       const Model::Options& options) noexcept {
  return io::guarded(files.name(), [&]() -> Result<std::shared_ptr<const MtpModel>> {
    KEDGE_TRY(const Model::Options placed, beside(target.get(), options, files.name()));
    MtpLoader loader(files, placed);
    KEDGE_TRY(std::shared_ptr<MtpModel> model, loader.load(std::move(target)));
    return std::shared_ptr<const MtpModel>(std::move(model));
  });
}

}  // namespace kedge::inline KEDGE_ABI::draft
