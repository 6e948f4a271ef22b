#include "draft/dspark_loader.hpp"

#include <cstring>
#include <vector>

#include "draft/markov_choice.hpp"
#include "io/guarded.hpp"
#include "io/shown.hpp"
#include "kedge/core/quantize.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "model/packer.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

long long number(std::int64_t n) { return static_cast<long long>(n); }

}  // namespace

std::string DsparkLoader::named(std::initializer_list<const char*> names) const {
  for (const char* name : names)
    if (has(name)) return name;
  return *names.begin();
}

Status DsparkLoader::check_target(DsparkConfig& c, const Model& target) const {
  const ModelConfig& t = target.config();
  if (c.backbone.vocabulary == 0) c.backbone.vocabulary = t.vocabulary;  // GGUF without a table
  if (c.draft_vocabulary == 0) c.draft_vocabulary = t.vocabulary;
  if (c.target_width != t.width)
    return fail(
        Code::invalid_argument, place_,
        "hidden states of the target: the draft expects a width of %lld, the target has %lld",
        number(c.target_width), number(t.width));
  if (c.backbone.vocabulary != t.vocabulary)
    return fail(Code::invalid_argument, place_,
                "vocab_size: the draft has %lld tokens, the target %lld",
                number(c.backbone.vocabulary), number(t.vocabulary));
  const auto layers = static_cast<std::int32_t>(t.layers);
  if (c.taps.empty()) c.taps = {2, layers / 2, layers - 3};
  for (const std::int32_t tap : c.taps)
    if (tap > layers || tap < -1)
      return fail(Code::invalid_argument, place_,
                  "layers of the target: the draft reads what enters layer %d, the target has %d",
                  tap, layers);
  return {};
}

// The embedding and the head: the draft's own, or the target's.
Status DsparkLoader::vocabulary_ends(const Model* target, DsparkModel& model) {
  const DsparkConfig& c = model.config_;
  const ModelConfig& b = c.backbone;
  ModelWeights& w = model.weights_.backbone;
  const std::string embedding = gguf_ ? "token_embd.weight" : "embed_tokens.weight";
  const std::string output = gguf_ ? "output.weight" : "lm_head.weight";
  own_embedding_ = has(embedding);
  own_output_ = has(output);
  const bool full = c.draft_vocabulary == b.vocabulary;
  const bool tied = gguf_ && own_embedding_ && full;  // as llama.cpp reads such a file
  if (own_output_) KEDGE_CHECK(matrix(output, c.draft_vocabulary, b.width, w.output));
  else if (!full)
    return fail(Code::not_found, place_,
                "no tensor %s: a draft of %lld of the target's %lld tokens needs a head of its own",
                output.c_str(), number(c.draft_vocabulary), number(b.vocabulary));
  if (own_embedding_) KEDGE_CHECK(matrix(embedding, b.vocabulary, b.width, w.embedding));
  const bool borrows = !own_embedding_ || (!own_output_ && !tied);
  if (!borrows) return {};
  if (target == nullptr)
    return fail(Code::invalid_argument, place_,
                "no tensor %s: the draft takes the target's, and there is no target",
                (own_embedding_ ? output : embedding).c_str());
  if (target->config().width != b.width)
    return fail(Code::invalid_argument, place_,
                "no tensor %s, and the target's has a width of %lld where the draft has %lld",
                (own_embedding_ ? output : embedding).c_str(), number(target->config().width),
                number(b.width));
  return {};
}

Status DsparkLoader::markov(DsparkModel& model) {
  DsparkConfig& c = model.config_;
  DsparkWeights& w = model.weights_;
  if (c.rank == 0) return {};
  const std::int64_t width = c.backbone.width;
  KEDGE_CHECK(matrix(named({"markov_head.markov_w1.weight", "markov_w1.weight"}),
                     c.backbone.vocabulary, c.rank, w.w1));
  KEDGE_CHECK(matrix(named({"markov_head.markov_w2.weight", "markov_w2.weight"}),
                     c.draft_vocabulary, c.rank, w.w2));
  if (c.head == op::MarkovBias::vanilla) return {};
  const bool rnn = c.head == op::MarkovBias::rnn;
  const std::string name = rnn ? named({"markov_head.joint_proj.weight", "joint_proj.weight"})
                               : named({"markov_head.gate_proj.weight", "gate_proj.weight"});
  const std::int64_t rows = rnn ? 3 * c.rank : c.rank;
  KEDGE_CHECK(matrix(name, rows, width + (rnn ? 2 : 1) * c.rank, w.projection));
  return vector(name.substr(0, name.size() - 6) + "bias", rows, w.projection_bias);
}

Status DsparkLoader::flat(const std::string& name, std::int64_t width, Tensor& target) {
  KEDGE_TRY(const FileTensor* t, find(name));
  std::int64_t count = 1;
  for (int i = 0; i < t->rank; ++i) count *= t->extent[i];
  if (count != width || (t->rank > 0 && t->extent[t->rank - 1] != width))
    return fail(Code::malformed, name.c_str(), "expected %lld values, found %lld", number(width),
                number(count));
  target = tensor(nullptr, Element::f32, width);
  place(t, target, target.bytes());
  return {};
}

Status DsparkLoader::confidence(DsparkModel& model) {
  DsparkConfig& c = model.config_;
  DsparkWeights& w = model.weights_;
  const std::string name =
      named({"confidence_head.proj.weight", "confidence_proj.weight", "conf_proj.weight"});
  if (!has(name)) {
    if (c.confidence) c.notes.push_back("no tensor " + name + ": the draft gives no confidences");
    c.confidence = false;
  }
  if (!c.confidence) return {};
  KEDGE_CHECK(flat(name, c.backbone.width + (c.confidence_with_markov ? c.rank : 0), w.confidence));
  const std::string bias = name.substr(0, name.size() - 6) + "bias";
  if (has(bias)) KEDGE_CHECK(flat(bias, 1, w.confidence_bias));
  return {};
}

// Which token of the target a row of the head stands for.
Status DsparkLoader::map(DsparkModel& model) {
  const DsparkConfig& c = model.config_;
  if (c.draft_vocabulary == c.backbone.vocabulary && !has("d2t")) return {};
  const FileTensor* t = files_.find("d2t");
  if (t == nullptr)
    return fail(
        Code::not_found, place_,
        "no tensor d2t: %lld of the target's %lld tokens are drafted, and nothing says which",
        number(c.draft_vocabulary), number(c.backbone.vocabulary));
  used_[static_cast<std::size_t>(t - files_.tensors().data())] = true;
  const bool wide = std::strcmp(t->type, "I64") == 0;
  if (!wide && std::strcmp(t->type, "I32") != 0)
    return fail(Code::unsupported, "d2t", "expected I64 or I32, found %s", t->type);
  if (t->rank != 1 || t->extent[0] != c.draft_vocabulary)
    return fail(Code::malformed, "d2t", "expected %lld values, found rank %d and %lld",
                number(c.draft_vocabulary), int{t->rank}, number(t->extent[0]));
  return read_map(*t, model);
}

Status DsparkLoader::read_map(const FileTensor& t, DsparkModel& model) {
  const DsparkConfig& c = model.config_;
  const auto count = static_cast<std::size_t>(c.draft_vocabulary);
  const bool wide = std::strcmp(t.type, "I64") == 0;
  KEDGE_TRY(model.map_, Buffer::create(count * sizeof(std::int32_t), "d2t", options_.allocator));
  KEDGE_TRY(const Buffer stored,
            Buffer::create(static_cast<std::size_t>(t.bytes), "d2t", options_.allocator));
  KEDGE_CHECK(t.source->read(t.offset, {const_cast<Buffer&>(stored).data(), stored.size()}));
  std::vector<bool> seen(static_cast<std::size_t>(c.backbone.vocabulary));
  for (std::size_t i = 0; i < count; ++i) {
    std::int64_t value = wide ? stored.as<std::int64_t>()[i] : stored.as<std::int32_t>()[i];
    // Offsets that are added to ids, or the ids themselves: the formats differ.
    const bool fits = value > -c.backbone.vocabulary && value < c.backbone.vocabulary;
    if (fits && !c.absolute_map) value += static_cast<std::int64_t>(i);
    if (!fits || value < 0 || value >= c.backbone.vocabulary)
      return fail(Code::malformed, "d2t", "row %zu stands for token %lld of %lld%s, in %s", i,
                  number(value), number(c.backbone.vocabulary),
                  c.absolute_map ? "" : " (its offset added)", place_);
    if (seen[static_cast<std::size_t>(value)])
      return fail(Code::malformed, "d2t", "row %zu: token %lld a second time, in %s", i,
                  number(value), place_);
    seen[static_cast<std::size_t>(value)] = true;
    model.map_.as<std::int32_t>()[i] = static_cast<std::int32_t>(value);
  }
  return {};
}

// Not on a device, which multiplies all of it in the time that a look at it would take.
Status DsparkLoader::reach(DsparkModel& model) {
  const Tensor& w2 = model.weights_.w2;
  if (w2.empty() || options_.accelerator || !MarkovChoice::bounded(w2.element)) return {};
  Tensor t = tensor(nullptr, Element::f32, 1, cpu::panel_count(w2.rows()));
  KEDGE_TRY(model.reach_, Buffer::create(t.bytes(), "markov head", options_.allocator));
  t.data = model.reach_.data();
  KEDGE_CHECK(MarkovChoice::measure(w2, options_.executor, model.reach_.as<float>()));
  model.weights_.reach = t;
  return {};
}

Status DsparkLoader::check_all_used() const {
  const auto& tensors = files_.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::string& name = tensors[i].name;
    // What training needs, and what follows from the configuration.
    if (used_[i] || name == "t2d" || name == "verifier_lm_head.weight" ||
        name == "verifier_norm.weight" || name.find("inv_freq") != std::string::npos ||
        name == "rope_freqs.weight")
      continue;
    return fail(Code::unsupported, place_, "a draft model has no use for tensor %s",
                io::Shown(name).text());
  }
  return {};
}

Result<std::shared_ptr<DsparkModel>> DsparkLoader::load(DsparkConfig config,
                                                        std::shared_ptr<const Model> target) {
  if (options_.quantize && !can_quantize(*options_.quantize))
    return fail(Code::unsupported, place_, "quantize: there is no quantizer for %s",
                to_string(*options_.quantize));
  auto model = std::make_shared<DsparkModel>();
  model->config_ = std::move(config);
  DsparkConfig& c = model->config_;
  DsparkWeights& w = model->weights_;
  model->accelerator_ = options_.accelerator;
  if (target != nullptr) KEDGE_CHECK(check_target(c, *target));
  if (c.taps.empty())
    return fail(Code::invalid_argument, place_,
                "aux_hidden_state_layer_ids: none, and no target whose layers say which");
  if (c.mask_token >= c.backbone.vocabulary)
    return fail(Code::malformed, place_, "mask token: expected less than %lld, found %d",
                number(c.backbone.vocabulary), c.mask_token);
  if (files_.find("rope_freqs.weight") != nullptr)
    return fail(Code::unsupported, place_, "rope_freqs.weight: scaled rotary frequencies");
  const PartNames names =
      gguf_ ? gguf_names : PartNames{false, "layers.", "embed_tokens", "norm", "lm_head"};
  used_.assign(files_.tensors().size(), false);
  const auto taps = static_cast<std::int64_t>(c.taps.size());
  KEDGE_CHECK(matrix("fc.weight", c.backbone.width, taps * c.target_width, w.fc));
  KEDGE_CHECK(vector(gguf_ ? "enc.output_norm.weight" : "hidden_norm.weight", c.backbone.width,
                     w.hidden_norm));
  KEDGE_CHECK(layers(c.backbone, names, w.backbone));
  KEDGE_CHECK(
      vector(names.output_norm + std::string(".weight"), c.backbone.width, w.backbone.output_norm));
  KEDGE_CHECK(vocabulary_ends(target.get(), *model));
  KEDGE_CHECK(markov(*model));
  KEDGE_CHECK(confidence(*model));
  KEDGE_CHECK(map(*model));
  KEDGE_CHECK(check_all_used());
  Packer packer(options_, place_);
  KEDGE_CHECK(fill(model->memory_, packer));
  KEDGE_CHECK(reach(*model));
  ModelWeights& b = w.backbone;
  if (!own_embedding_) b.embedding = target->weights().embedding;
  if (!own_output_) b.output = gguf_ && own_embedding_ ? b.embedding : target->weights().output;
  if (!own_embedding_ || !own_output_)
    c.notes.push_back(std::string("from the target: ") + (own_embedding_ ? "" : "embedding ") +
                      (own_output_ || (gguf_ && own_embedding_) ? "" : "output"));
  model->target_ = std::move(target);
  return model;
}

namespace {

Result<std::shared_ptr<const DsparkModel>> load_any(const ModelFiles& files,
                                                    std::shared_ptr<const Model> target,
                                                    const Model::Options& options) noexcept {
  return io::guarded(files.name(), [&]() -> Result<std::shared_ptr<const DsparkModel>> {
    KEDGE_TRY(DsparkConfig config, read_dspark_config(files));
    KEDGE_TRY(const Model::Options placed, beside(target.get(), options, files.name()));
    DsparkLoader loader(files, placed);
    KEDGE_TRY(std::shared_ptr<DsparkModel> model,
              loader.load(std::move(config), std::move(target)));
    return std::shared_ptr<const DsparkModel>(std::move(model));
  });
}

}  // namespace

Result<std::shared_ptr<const DsparkModel>> DsparkModel::load(
    const ModelFiles& files, std::shared_ptr<const Model> target,
    const Model::Options& options) noexcept {
  return load_any(files, std::move(target), options);
}

Result<std::shared_ptr<const DsparkModel>> DsparkModel::load(
    const ModelFiles& files, const Model::Options& options) noexcept {
  return load_any(files, nullptr, options);
}

Result<std::shared_ptr<const DsparkModel>> DsparkModel::load(
    const char* path, std::shared_ptr<const Model> target, const Model::Options& options) noexcept {
  KEDGE_TRY(const ModelFiles files, ModelFiles::open(path));
  return load(files, std::move(target), options);
}

}  // namespace kedge::inline KEDGE_ABI::draft
