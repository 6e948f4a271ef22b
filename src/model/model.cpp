// Loading: find every tensor, check its shape, lay the packed weights out in the order in which a
// step reads them, and pack with all workers.
#include "kedge/model/model.hpp"

#include <atomic>
#include <cstring>
#include <new>
#include <string>

#include "kedge/core/hash.hpp"
#include "kedge/kernel/cpu/panel.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr std::size_t round_up(std::size_t n) {
  return (n + Buffer::alignment - 1) / Buffer::alignment * Buffer::alignment;
}

// One tensor of the file and its place in the model's memory.
struct Item {
  const io::GgufTensor* source;
  Tensor* target;
  std::size_t offset;
  io::TensorBytes bytes;
};

class Loader {
 public:
  Loader(const io::Gguf& file, const Model::Options& options) : file_(file), options_(options) {}

  Status matrix(const std::string& name, std::int64_t rows, std::int64_t width, Tensor& target) {
    KEDGE_TRY(const io::GgufTensor* t, find(name, 2, rows, width));
    target = tensor(nullptr, t->element, rows, width);
    target.layout = Layout::panel16;
    return place(t, target, cpu::packed_bytes(t->element, rows, width));
  }
  Status vector(const std::string& name, std::int64_t width, Tensor& target) {
    KEDGE_TRY(const io::GgufTensor* t, find(name, 1, 1, width));
    if (t->element != Element::f32)
      return fail(Code::unsupported, name.c_str(), "expected f32, found %s", to_string(t->element));
    target = tensor(nullptr, Element::f32, width);
    return place(t, target, static_cast<std::size_t>(width) * sizeof(float));
  }

  std::size_t bytes() const { return bytes_; }

  // Of the packed weights, in the order of their places.
  Result<std::uint64_t> digest() const {
    Hash all;
    for (const Item& item : items_) {
      const std::string& name = item.source->name;
      all.add(std::as_bytes(std::span(name.data(), name.size())));
      KEDGE_CHECK(digest(*item.target, all));
    }
    return all.value();
  }

  // Fills `memory`, which has bytes() bytes, and points the targets into it.
  Status pack(std::byte* memory) {
    for (Item& item : items_) {
      item.target->data = memory + item.offset;
      KEDGE_TRY(item.bytes, file_.read(*item.source, options_.allocator));
      KEDGE_TRY(Tensor source, io::as_tensor(*item.source, item.bytes));
      if (item.target->layout == Layout::row_major)
        std::memcpy(item.target->data, source.data, source.bytes());
      else KEDGE_CHECK(pack_matrix(source, item.target->data));
      item.bytes = {};
      done_ += item.source->bytes;
      const Progress& progress = options_.progress;
      if (progress.report != nullptr &&
          !progress.report(progress.context, "packing weights",
                           static_cast<double>(done_) / static_cast<double>(total_)))
        return fail(Code::cancelled, file_.source().name(), "loading was stopped at %s",
                    item.source->name.c_str());
    }
    return {};
  }

 private:
  // A megabyte at a time, so that all workers share in it.
  Status digest(const Tensor& target, Hash& all) const {
    static constexpr std::size_t step = std::size_t{1} << 20;
    const std::size_t bytes = target.layout == Layout::panel16
                                  ? cpu::packed_bytes(target.element, target.rows(), target.width())
                                  : target.bytes();
    std::vector<std::uint64_t> parts((bytes + step - 1) / step);
    struct Context {
      std::span<const std::byte> from;
      std::uint64_t* to;
    } context{{target.data, bytes}, parts.data()};
    const auto body = [](void* c, std::size_t task) noexcept {
      const auto& [from, to] = *static_cast<Context*>(c);
      const auto rest = from.subspan(task * step);
      to[task] = Hash::of(rest.first(std::min(step, rest.size())));
    };
    SerialExecutor serial;
    Executor& executor = options_.executor == nullptr ? serial : *options_.executor;
    KEDGE_CHECK(executor.tasks(parts.size(), body, &context));
    all.add(std::as_bytes(std::span(parts)));
    return {};
  }
  Result<const io::GgufTensor*> find(const std::string& name, int rank, std::int64_t rows,
                                     std::int64_t width) const {
    const io::GgufTensor* t = file_.tensor(name);
    if (t == nullptr)
      return fail(Code::not_found, file_.source().name(), "no tensor %s", name.c_str());
    if (!t->supported)
      return fail(Code::unsupported, name.c_str(), "its format (%s) has no kernel",
                  io::ggml_type(t->type).name);
    const std::int64_t found_rows = rank == 2 ? t->extent[0] : 1;
    const std::int64_t found_width = t->extent[t->rank - 1];
    if (t->rank != rank || found_rows != rows || found_width != width)
      return fail(Code::malformed, name.c_str(),
                  "expected %lld x %lld as the metadata say, found rank %d, %lld x %lld",
                  static_cast<long long>(rows), static_cast<long long>(width), int(t->rank),
                  static_cast<long long>(found_rows), static_cast<long long>(found_width));
    return t;
  }
  Status place(const io::GgufTensor* source, Tensor& target, std::size_t bytes) {
    items_.push_back({source, &target, bytes_, {}});
    bytes_ += round_up(bytes);
    total_ += source->bytes;
    return {};
  }

  Status pack_matrix(const Tensor& source, std::byte* target) const {
    // 64 panels a task: about a megabyte, enough to forget the cost of a task
    static constexpr std::int64_t step = 64;
    struct Context {
      const Tensor& source;
      std::byte* target;
      std::int64_t panels;
    } context{source, target, cpu::panel_count(source.rows())};
    const auto body = [](void* c, std::size_t task) noexcept {
      const auto& [from, to, panels] = *static_cast<Context*>(c);
      const std::int64_t first = static_cast<std::int64_t>(task) * step;
      cpu::pack(from, to, first, std::min(step, panels - first));
    };
    const auto tasks = static_cast<std::size_t>((context.panels + step - 1) / step);
    SerialExecutor serial;
    Executor& executor = options_.executor == nullptr ? serial : *options_.executor;
    return executor.tasks(tasks, body, &context);
  }

  const io::Gguf& file_;
  const Model::Options& options_;
  std::vector<Item> items_;
  std::size_t bytes_ = 0;
  std::uint64_t done_ = 0, total_ = 0;
};

Status find_llama(Loader& loader, const ModelConfig& c, LlamaWeights& w) {
  w.layers.resize(static_cast<std::size_t>(c.layers));
  const std::int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  for (std::size_t i = 0; i < w.layers.size(); ++i) {
    LlamaLayer& l = w.layers[i];
    const std::string p = "blk." + std::to_string(i) + ".";
    KEDGE_CHECK(loader.vector(p + "attn_norm.weight", c.width, l.attention_norm));
    KEDGE_CHECK(loader.matrix(p + "attn_q.weight", q, c.width, l.q));
    KEDGE_CHECK(loader.matrix(p + "attn_k.weight", kv, c.width, l.k));
    KEDGE_CHECK(loader.matrix(p + "attn_v.weight", kv, c.width, l.v));
    KEDGE_CHECK(loader.matrix(p + "attn_output.weight", c.width, q, l.attention_output));
    KEDGE_CHECK(loader.vector(p + "ffn_norm.weight", c.width, l.feed_forward_norm));
    KEDGE_CHECK(loader.matrix(p + "ffn_gate.weight", c.feed_forward, c.width, l.gate));
    KEDGE_CHECK(loader.matrix(p + "ffn_up.weight", c.feed_forward, c.width, l.up));
    KEDGE_CHECK(loader.matrix(p + "ffn_down.weight", c.width, c.feed_forward, l.down));
  }
  KEDGE_CHECK(loader.vector("output_norm.weight", c.width, w.output_norm));
  if (!c.tied_output) KEDGE_CHECK(loader.matrix("output.weight", c.vocabulary, c.width, w.output));
  // Last: a tied embedding is what a step reads last.
  return loader.matrix("token_embd.weight", c.vocabulary, c.width, w.embedding);
}

// What the weights do not say about what a model computes.
Result<std::uint64_t> digest(const ModelConfig& c, std::uint64_t weights) {
  Hash hash;
  hash.add(std::as_bytes(std::span(c.architecture.data(), c.architecture.size())));
  for (const std::int64_t shape : {c.vocabulary, c.layers, c.width, c.feed_forward, c.heads,
                                   c.kv_heads, c.head_dim, c.rotary_dims})
    hash.add_value(shape);
  double frequency[max_rotary_dims / 2];
  KEDGE_CHECK(rope_frequencies(c.rotary_dims, c.rope_base, c.rope_scaling, frequency));
  hash.add(std::as_bytes(std::span(frequency, static_cast<std::size_t>(c.rotary_dims / 2))));
  hash.add_value(c.rope_interleaved);
  hash.add_value(c.norm_eps);
  hash.add_value(c.tied_output);
  hash.add_value(weights);
  return hash.value();
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::load(const io::Gguf& file,
                                                 const Options& options) noexcept try {
  auto model = std::make_shared<Model>();
  KEDGE_TRY(model->config_, read_config(file));
  ModelConfig& config = model->config_;
  Loader loader(file, options);
  KEDGE_CHECK(find_llama(loader, config, model->weights_));

  // Some files carry Llama 3's scaling as factors of the frequencies.
  if (const io::GgufTensor* t = file.tensor("rope_freqs.weight"); t != nullptr) {
    if (!t->supported || t->element != Element::f32 || t->rank != 1 ||
        t->extent[0] != config.rotary_dims / 2)
      return fail(Code::malformed, "rope_freqs.weight", "expected f32 [%lld]",
                  static_cast<long long>(config.rotary_dims / 2));
    KEDGE_TRY(const io::TensorBytes factors, file.read(*t, options.allocator));
    KEDGE_TRY(model->rope_factors_,
              Buffer::create(factors.size, "rope factors", options.allocator));
    std::memcpy(model->rope_factors_.data(), factors.data, factors.size);
    config.rope_scaling.frequency_factors = model->rope_factors_.as<float>();
  }

  KEDGE_TRY(model->memory_, Buffer::create(loader.bytes(), "weights", options.allocator));
  KEDGE_CHECK(loader.pack(model->memory_.data()));
  KEDGE_TRY(const std::uint64_t weights, loader.digest());
  KEDGE_TRY(model->fingerprint_, digest(config, weights));
  LlamaWeights& w = model->weights_;
  if (config.tied_output) w.output = w.embedding;
  model->step_bytes_ = loader.bytes() - (config.tied_output ? 0 : w.embedding.bytes());
  return std::shared_ptr<const Model>(std::move(model));
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, file.source().name(), "no memory for the model's tables");
}

Result<std::shared_ptr<const Model>> Model::load(const char* path,
                                                 const Options& options) noexcept {
  KEDGE_TRY(const io::Gguf file, io::Gguf::open(path));
  return load(file, options);
}

}  // namespace kedge::inline KEDGE_ABI
