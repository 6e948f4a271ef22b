#include "model/loader.hpp"

#include <cinttypes>
#include <cstring>

#include "io/shown.hpp"
#include "kedge/core/quantize.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "model/fingerprint.hpp"
#include "model/packed.hpp"
#include "model/packer.hpp"

namespace kedge::inline KEDGE_ABI {

using io::Shown;

namespace {

constexpr std::size_t round_up(std::size_t n, std::size_t step) {
  return (n + step - 1) / step * step;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

// Some files carry Llama 3's scaling of rotary frequencies as a tensor of divisors.
constexpr const char* rope_name = "rope_freqs.weight";

}  // namespace

Result<const FileTensor*> ModelLoader::find(const std::string& name) {
  const FileTensor* t = files_.find(name);
  if (t == nullptr) return fail(Code::not_found, place_, "no tensor %s", name.c_str());
  if (!t->supported)
    return fail(Code::unsupported, name.c_str(), "its format (%s) has no kernel", t->type);
  used_[static_cast<std::size_t>(t - files_.tensors().data())] = true;
  return t;
}

Result<const FileTensor*> ModelLoader::find(const std::string& name, int rank, std::int64_t rows,
                                            std::int64_t width) {
  KEDGE_TRY(const FileTensor* t, find(name));
  const std::int64_t found_rows = t->rank == 2 ? t->extent[0] : 1;
  const std::int64_t found_width = t->rank == 0 ? 1 : t->extent[t->rank - 1];
  if (t->rank != rank || found_rows != rows || found_width != width)
    return fail(Code::malformed, name.c_str(),
                "expected %lld x %lld as the metadata say, found rank %d, %lld x %lld",
                static_cast<long long>(rows), static_cast<long long>(width), int{t->rank},
                static_cast<long long>(found_rows), static_cast<long long>(found_width));
  return t;
}

LoadItem& ModelLoader::place(const FileTensor* source, Tensor& target, std::size_t bytes) {
  items_.push_back({source, &target, bytes_, bytes});
  bytes_ += round_up(bytes, options_.accelerator ? device_alignment : Buffer::alignment);
  return items_.back();
}

Status ModelLoader::matrix(const FileTensor* t, std::int64_t rows, bool may_quantize, RowRuns runs,
                           Tensor& target) {
  const std::int64_t width = t->extent[1];
  const bool converted = may_quantize && options_.quantize.has_value() && !is_quantized(t->element);
  const Element element = converted ? *options_.quantize : t->element;
  const std::uint32_t block = traits(element).block;
  if (width % block != 0)
    return fail(Code::unsupported, t->name.c_str(), "%s needs a width divisible by %u, found %lld",
                to_string(element), block, static_cast<long long>(width));
  target = tensor(nullptr, element, rows, width);
  if (!options_.accelerator) target.layout = Layout::panel16;
  LoadItem& item =
      place(t, target,
            options_.accelerator ? target.bytes() : cpu::packed_bytes(target.element, rows, width));
  item.runs = runs;
  item.matrix = true;
  return {};
}

Status ModelLoader::matrix(const std::string& name, std::int64_t rows, std::int64_t width,
                           Tensor& target) {
  KEDGE_TRY(const FileTensor* t, find(name, 2, rows, width));
  return matrix(t, rows, true, {}, target);
}

Status ModelLoader::query(const std::string& name, const LayerPart& part, const ModelConfig& c,
                          Tensor& target) {
  const std::int64_t rows = size_of(part.rows, c), width = size_of(part.width, c);
  if (!c.attention_gated) return matrix(name, rows, width, target);
  KEDGE_TRY(const FileTensor* t, find(name, 2, 2 * rows, width));
  const std::int64_t first = part.form == Form::query_gate ? c.head_dim : 0;
  return matrix(t, rows, true, {c.head_dim, 2 * c.head_dim, first}, target);
}

Status ModelLoader::vector(const std::string& name, std::int64_t width, Tensor& target,
                           Conversion conversion) {
  KEDGE_TRY(const FileTensor* t, find(name, 1, 1, width));
  if (is_quantized(t->element))
    return fail(Code::unsupported, name.c_str(), "expected f32, f16 or bf16, found %s", t->type);
  target = tensor(nullptr, Element::f32, width);
  place(t, target, target.bytes()).conversion = conversion;
  return {};
}

// Stored by channels, [channels, taps] or with an extent of 1 between; used tap by tap.
Status ModelLoader::taps(const std::string& name, std::int64_t taps, std::int64_t channels,
                         Tensor& target) {
  KEDGE_TRY(const FileTensor* t, find(name));
  const bool between = t->rank == 3 && t->extent[1] == 1;
  if ((t->rank != 2 && !between) || t->extent[0] != channels || t->extent[t->rank - 1] != taps)
    return fail(
        Code::malformed, name.c_str(),
        "expected %lld channels x %lld taps as the metadata say, found rank %d, %lld x %lld",
        static_cast<long long>(channels), static_cast<long long>(taps), int{t->rank},
        static_cast<long long>(t->extent[0]),
        static_cast<long long>(t->rank == 0 ? 1 : t->extent[t->rank - 1]));
  if (is_quantized(t->element))
    return fail(Code::unsupported, name.c_str(), "expected f32, f16 or bf16, found %s", t->type);
  target = tensor(nullptr, Element::f32, taps, channels);
  place(t, target, target.bytes());
  return {};
}

Status ModelLoader::part(const LayerPart& part, const std::string& prefix, const ModelConfig& c,
                         const PartNames& names, LayerWeights& layer) {
  std::string name = prefix + (names.gguf ? part.gguf : part.folder);
  const std::int64_t rows = size_of(part.rows, c), width = size_of(part.width, c);
  Tensor& target = layer.*part.weight;
  if (part.form == Form::bare) return vector(name, width, target);
  if (part.form == Form::decay)
    return vector(name, width, target, names.gguf ? Conversion::none : Conversion::minus_exp);
  if (part.bias != nullptr && c.*part.biased)
    KEDGE_CHECK(vector(name + ".bias", rows, layer.*part.bias));
  name += ".weight";
  if (part.form == Form::taps) return taps(name, rows, width, target);
  if (part.form == Form::query || part.form == Form::query_gate)
    return query(name, part, c, target);
  if (part.rows == Size::one) {
    const bool centred = part.form == Form::norm && !names.gguf && !c.mixers.empty();
    return vector(name, width, target, centred ? Conversion::add_one : Conversion::none);
  }
  KEDGE_TRY(const FileTensor* t, find(name, 2, rows, width));
  return matrix(t, rows, part.form != Form::gate, {}, target);
}

Status ModelLoader::layers(const ModelConfig& c, const PartNames& names, ModelWeights& w) {
  w.layers.resize(static_cast<std::size_t>(c.layers));
  for (std::size_t i = 0; i < w.layers.size(); ++i) {
    const std::string prefix = names.layer + std::to_string(i) + '.';
    for (const LayerPart& p : layer_parts())
      if (has_part(p, c, c.mixer(static_cast<std::int64_t>(i))))
        KEDGE_CHECK(part(p, prefix, c, names, w.layers[i]));
  }
  return {};
}

// Their tensors must be there and have the right shapes; a drafter will load them.
Status ModelLoader::further_layers(const ModelConfig& c, const PartNames& names) {
  for (std::int64_t m = 0; m < c.mtp_layers; ++m) {
    const std::string layer = names.gguf ? names.layer + std::to_string(c.layers + m) + '.'
                                         : "mtp.layers." + std::to_string(m) + '.';
    for (const LayerPart& p : layer_parts()) {
      if (!has_part(p, c, Mixer::attention)) continue;
      const bool both = p.form == Form::query || p.form == Form::query_gate;
      const std::int64_t rows = size_of(p.rows, c) * (both && c.attention_gated ? 2 : 1);
      KEDGE_TRY([[maybe_unused]] const FileTensor* found,
                find(layer + (names.gguf ? p.gguf : p.folder) + ".weight",
                     p.rows == Size::one ? 1 : 2, rows, size_of(p.width, c)));
    }
    for (const FurtherPart& p : further_parts()) {
      const std::string name = names.gguf ? layer + p.gguf : std::string(p.folder);
      KEDGE_TRY([[maybe_unused]] const FileTensor* found,
                find(name + ".weight", p.matrix ? 2 : 1, p.matrix ? c.width : 1,
                     c.width * (p.matrix ? 2 : 1)));
    }
    // Rarely a layer has its own copies.
    for (const char* own : {"nextn.embed_tokens.weight", "nextn.shared_head_head.weight"})
      if (files_.find(layer + own) != nullptr) {
        KEDGE_TRY([[maybe_unused]] const FileTensor* found,
                  find(layer + own, 2, c.vocabulary, c.width));
      }
  }
  return {};
}

Status ModelLoader::rope_factors(const ModelConfig& config) {
  const FileTensor* t = files_.find(rope_name);
  if (t == nullptr) return {};
  const std::int64_t width = config.rotary_dims / 2;
  KEDGE_TRY(rope_source_, find(rope_name, 1, 1, width));
  if (t->element != Element::f32)
    return fail(Code::unsupported, rope_name, "expected f32, found %s", t->type);
  rope_factors_ = tensor(nullptr, Element::f32, width);
  return {};
}

// A tensor that nobody reads means that the model computes something else than Kedge would.
Status ModelLoader::check_all_used(const ModelConfig& config) const {
  const auto& tensors = files_.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::string& name = tensors[i].name;
    // Copies of what the configuration says: rotary frequencies of old files, and a tied head.
    if (used_[i] || ends_with(name, "rotary_emb.inv_freq") ||
        (config.tied_output && name == "lm_head.weight") ||
        (!config.mixers.empty() && starts_with(name, vision_prefix)))
      continue;
    return fail(Code::unsupported, place_, "architecture %s has no use for tensor %s",
                config.architecture.c_str(), Shown(name).text());
  }
  return {};
}

Result<std::shared_ptr<Model>> ModelLoader::describe(ModelConfig config, const PartNames& names) {
  if (options_.quantize && !can_quantize(*options_.quantize))
    return fail(Code::unsupported, place_, "quantize: there is no quantizer for %s",
                to_string(*options_.quantize));
  auto model = std::make_shared<Model>();
  model->accelerator_ = options_.accelerator;
  used_.assign(files_.tensors().size(), false);
  ModelWeights& w = model->weights_;
  KEDGE_CHECK(layers(config, names, w));
  KEDGE_CHECK(further_layers(config, names));
  const bool centred = !names.gguf && !config.mixers.empty();
  KEDGE_CHECK(vector(names.output_norm + std::string(".weight"), config.width, w.output_norm,
                     centred ? Conversion::add_one : Conversion::none));
  const std::string output = names.output + std::string(".weight");
  if (!config.tied_output) KEDGE_CHECK(matrix(output, config.vocabulary, config.width, w.output));
  // Last: a tied embedding is what a step reads last.
  KEDGE_CHECK(matrix(names.embedding + std::string(".weight"), config.vocabulary, config.width,
                     w.embedding));
  KEDGE_CHECK(rope_factors(config));
  KEDGE_CHECK(check_all_used(config));
  if (config.tied_output) w.output = w.embedding;
  model->step_bytes_ = bytes_ - (config.tied_output ? 0 : w.embedding.bytes());
  for (const LoadItem& item : items_) model->stored_bytes_ += item.stored();
  model->config_ = std::move(config);
  return model;
}

std::size_t ModelLoader::loading_bytes() const noexcept {
  const Packer::Buffers buffers = Packer::buffers(items_, options_);
  return buffers.slice + buffers.scratch + buffers.made;
}

// One buffer; on a device as few as its allocations allow.
Status ModelLoader::take_memory(WeightMemory& memory) {
  Accelerator* const device = options_.accelerator.get();
  if (device == nullptr) {
    KEDGE_TRY(Buffer whole, Buffer::create(bytes_, "weights", options_.allocator));
    for (const LoadItem& item : items_) {
      item.target->data = whole.data() + item.offset;
      // Between tensors, so that equal models are equal in every byte.
      std::memset(item.target->data + item.bytes, 0,
                  round_up(item.bytes, Buffer::alignment) - item.bytes);
    }
    memory.add(std::move(whole));
    return {};
  }
  KEDGE_CHECK(device->expect_room(bytes_, "weights"));
  const std::uint64_t most = device->max_allocation() / device_alignment * device_alignment;
  for (std::size_t first = 0, end = 0; first < items_.size(); first = end) {
    const std::size_t begin = items_[first].offset;
    std::size_t bytes = 0;
    for (; end < items_.size(); ++end) {
      const std::size_t with = items_[end].offset + round_up(items_[end].bytes, device_alignment);
      if (with - begin > most) break;
      bytes = with - begin;
    }
    if (end == first)
      return fail(Code::unsupported, items_[first].source->name.c_str(),
                  "%zu bytes, %s allocates at most %" PRIu64 " at once", items_[first].bytes,
                  device->name(), most);
    KEDGE_TRY(Buffer part, Buffer::create(bytes, "weights", device->memory(DeviceMemory::weights)));
    for (std::size_t i = first; i < end; ++i)
      items_[i].target->data = part.data() + (items_[i].offset - begin);
    memory.add(std::move(part));
  }
  return {};
}

Status ModelLoader::fill(WeightMemory& memory, Packer& packer) {
  const std::uint64_t needed = std::uint64_t{bytes_} + loading_bytes();
  if (options_.memory_budget != 0 && needed > options_.memory_budget)
    return fail(Code::out_of_memory, place_,
                "the weights need %zu bytes and loading them %zu more, the budget is %" PRIu64,
                bytes_, loading_bytes(), options_.memory_budget);
  KEDGE_CHECK(packer.reserve(items_));
  KEDGE_CHECK(take_memory(memory));
  for (LoadItem& item : items_) KEDGE_CHECK(packer.pack(item));
  return {};
}

Status ModelLoader::load(Model& model) {
  Packer packer(options_, place_);
  std::uint64_t digest = 0;
  KEDGE_TRY(const bool mapped, use_packed(model, digest));
  KEDGE_CHECK(mapped ? packer.reserve(items_) : fill(model.memory_, packer));
  if (!rope_factors_.empty()) {
    KEDGE_TRY(model.rope_factors_,
              Buffer::create(rope_factors_.bytes(), "rope factors", options_.allocator));
    rope_factors_.data = model.rope_factors_.data();
    KEDGE_CHECK(packer.read_vector(*rope_source_, rope_factors_));
    RopeScaling& scaling = model.config_.rope_scaling;
    scaling.frequency_factors = model.rope_factors_.as<float>();
    // Factors that cannot be are found here rather than by the first session.
    KEDGE_CHECK(check_config(model.config_, place_));
  }
  if (!mapped) {
    KEDGE_TRY(digest, digest_weights(items_, options_.executor));
  }
  KEDGE_TRY(model.fingerprint_, fingerprint(model.config_, digest));
  if (model.config_.tied_output) model.weights_.output = model.weights_.embedding;
  return mapped ? Status() : make_packed(model, digest);
}

Result<bool> ModelLoader::use_packed(Model& model, std::uint64_t& digest) {
  const PackedWeights& o = options_.packed;
  if (o.path.empty()) return false;
  if (options_.accelerator)
    return fail(Code::unsupported, o.path.c_str(),
                "packed weights are the CPU's; a device has its own");
  if (o.mode == PackedWeights::Mode::make) {
    KEDGE_CHECK(expect_replaceable(o));  // before the work
    return false;
  }
  Result<MappedWeights> found = map_packed(o, items_, bytes_, options_);
  if (found && o.verify) {
    for (LoadItem& item : items_) item.target->data = found->data + item.offset;
    KEDGE_TRY(const std::uint64_t value, digest_weights(items_, options_.executor));
    if (value != found->digest)
      found = fail(Code::malformed, o.path.c_str(),
                   "packed weights: bytes differ from those that were written");
  }
  if (!found) {
    if (o.mode == PackedWeights::Mode::use) return unexpected(found.error());
    // That there is none yet goes without saying.
    if (found.error().code != Code::not_found) model.packed_.why = found.error().reason;
    return false;
  }
  if (options_.memory_budget != 0 && bytes_ > options_.memory_budget)
    return fail(Code::out_of_memory, place_, "the weights need %zu bytes, the budget is %" PRIu64,
                bytes_, options_.memory_budget);
  for (LoadItem& item : items_) item.target->data = found->data + item.offset;
  digest = found->digest;
  model.memory_.add(std::move(found->file), bytes_);
  model.packed_.mapped = true;
  return true;
}

// In use_or_make a model without its file is better than none: the outcome says why it is not
// there.
Status ModelLoader::make_packed(Model& model, std::uint64_t digest) {
  const PackedWeights& o = options_.packed;
  if (o.path.empty()) return {};
  Status written = expect_replaceable(o);
  if (written) written = write_packed(o.path.c_str(), items_, bytes_, digest, options_);
  model.packed_.made = static_cast<bool>(written);
  if (written) return {};
  if (o.mode == PackedWeights::Mode::make) return written;
  model.packed_.why = written.error().reason;
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
