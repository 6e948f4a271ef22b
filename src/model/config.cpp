#include "kedge/model/config.hpp"

#include <new>
#include <string>

namespace kedge::inline KEDGE_ABI {

namespace {

// A key of the architecture, "llama.block_count"; errors name the file and the key.
class Keys {
 public:
  Keys(const io::Gguf& file, std::string_view architecture) : file_(file), prefix_(architecture) {
    prefix_ += '.';
  }
  Result<std::int64_t> count(const char* key, std::int64_t most) const {
    const std::string full = prefix_ + key;
    KEDGE_TRY(const std::uint64_t value, file_.uint(full));
    if (value < 1 || value > static_cast<std::uint64_t>(most))
      return fail(Code::malformed, file_.source().name(), "%s: expected 1..%lld, found %llu",
                  full.c_str(), static_cast<long long>(most),
                  static_cast<unsigned long long>(value));
    return static_cast<std::int64_t>(value);
  }
  Result<std::int64_t> count_or(const char* key, std::int64_t most, std::int64_t other) const {
    if (file_.find(prefix_ + key) == nullptr) return other;
    return count(key, most);
  }
  Result<double> number_or(const char* key, double other) const {
    if (file_.find(prefix_ + key) == nullptr) return other;
    return file_.number(prefix_ + key);
  }
  const io::Gguf& file() const { return file_; }
  const std::string& prefix() const { return prefix_; }

 private:
  const io::Gguf& file_;
  std::string prefix_;
};

Status read_rope(const Keys& keys, ModelConfig& config) {
  KEDGE_TRY(config.rope_base, keys.number_or("rope.freq_base", 10000));
  const std::string kind_key = keys.prefix() + "rope.scaling.type";
  if (keys.file().find(kind_key) == nullptr) return {};
  KEDGE_TRY(const std::string_view kind, keys.file().string(kind_key));
  if (kind == "none") return {};
  if (kind != "linear")
    return fail(Code::unsupported, keys.file().source().name(),
                "%s: expected none or linear, found %.*s", kind_key.c_str(),
                static_cast<int>(kind.size()), kind.data());
  config.rope_scaling.kind = RopeScalingKind::linear;
  KEDGE_TRY(config.rope_scaling.factor, keys.number_or("rope.scaling.factor", 1));
  return {};
}

Result<ModelConfig> read(const io::Gguf& file) {
  const char* place = file.source().name();
  ModelConfig config;
  KEDGE_TRY(const std::string_view architecture, file.string("general.architecture"));
  config.architecture = architecture;
  if (architecture != "llama")
    return fail(Code::unsupported, place, "general.architecture: expected llama, found %s",
                config.architecture.c_str());
  if (file.find("general.name") != nullptr) {
    KEDGE_TRY(const std::string_view name, file.string("general.name"));
    config.name = name;
  }
  const Keys keys(file, architecture);
  constexpr std::int64_t many = 1 << 20;
  KEDGE_TRY(config.layers, keys.count("block_count", 4096));
  KEDGE_TRY(config.width, keys.count("embedding_length", many));
  KEDGE_TRY(config.feed_forward, keys.count("feed_forward_length", many));
  KEDGE_TRY(config.heads, keys.count("attention.head_count", 4096));
  KEDGE_TRY(config.kv_heads, keys.count_or("attention.head_count_kv", 4096, config.heads));
  KEDGE_TRY(config.context, keys.count("context_length", 1 << 28));
  if (config.heads % config.kv_heads != 0)
    return fail(Code::malformed, place, "%lld heads are no multiple of %lld key/value heads",
                static_cast<long long>(config.heads), static_cast<long long>(config.kv_heads));
  KEDGE_TRY(config.head_dim, keys.count_or("attention.key_length", 4096,
                                           std::max<std::int64_t>(1, config.width / config.heads)));
  KEDGE_TRY(const std::int64_t value_dim,
            keys.count_or("attention.value_length", 4096, config.head_dim));
  if (value_dim != config.head_dim)
    return fail(Code::unsupported, place, "keys of %lld and values of %lld dimensions",
                static_cast<long long>(config.head_dim), static_cast<long long>(value_dim));
  KEDGE_TRY(config.rotary_dims,
            keys.count_or("rope.dimension_count", config.head_dim, config.head_dim));
  if (config.rotary_dims % 2 != 0)
    return fail(Code::malformed, place, "rope.dimension_count: expected an even number, found %lld",
                static_cast<long long>(config.rotary_dims));
  KEDGE_TRY(const double eps, keys.number_or("attention.layer_norm_rms_epsilon", 1e-5));
  config.norm_eps = static_cast<float>(eps);
  KEDGE_CHECK(read_rope(keys, config));
  const io::GgufTensor* embedding = file.tensor("token_embd.weight");
  if (embedding == nullptr) return fail(Code::not_found, place, "no tensor token_embd.weight");
  config.vocabulary = embedding->extent[0];
  config.tied_output = file.tensor("output.weight") == nullptr;
  return config;
}

}  // namespace

Result<ModelConfig> read_config(const io::Gguf& file) noexcept try {
  return read(file);
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, file.source().name(), "no memory for the configuration");
}

}  // namespace kedge::inline KEDGE_ABI
