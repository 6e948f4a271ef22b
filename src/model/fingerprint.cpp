#include "model/fingerprint.hpp"

#include <algorithm>
#include <vector>

namespace kedge::inline KEDGE_ABI {

namespace {

// A megabyte at a time, so that all workers share in it.
Status add_weights(const LoadItem& item, Executor& executor, Hash& hash) {
  static constexpr std::size_t step = std::size_t{1} << 20;
  std::vector<std::uint64_t> parts((item.bytes + step - 1) / step);
  struct Context {
    std::span<const std::byte> from;
    std::uint64_t* to;
  } context{{item.target->data, item.bytes}, parts.data()};
  const auto body = [](void* c, std::size_t task) noexcept {
    const auto& [from, to] = *static_cast<Context*>(c);
    const auto rest = from.subspan(task * step);
    to[task] = Hash::of(rest.first(std::min(step, rest.size())));
  };
  KEDGE_CHECK(executor.tasks(parts.size(), body, &context));
  hash.add(std::as_bytes(std::span(parts)));
  return {};
}

}  // namespace

Result<std::uint64_t> digest_weights(std::span<const LoadItem> items, Executor* executor) {
  SerialExecutor serial;
  Hash weights;
  for (const LoadItem& item : items) {
    weights.add(std::as_bytes(std::span(item.source->name)));
    if (item.digest != 0) weights.add_value(item.digest);
    else KEDGE_CHECK(add_weights(item, executor == nullptr ? serial : *executor, weights));
  }
  return weights.value();
}

// What the weights do not say about what a model computes, and they.
Result<std::uint64_t> fingerprint(const ModelConfig& c, std::uint64_t weights) {
  Hash hash;
  hash.add(std::as_bytes(std::span(c.architecture)));
  for (const std::int64_t shape : {c.vocabulary, c.layers, c.width, c.feed_forward, c.heads,
                                   c.kv_heads, c.head_dim, c.rotary_dims})
    hash.add_value(shape);
  double frequency[max_rotary_dims / 2];
  KEDGE_CHECK(rope_frequencies(c.rotary_dims, c.rope_base, c.rope_scaling, frequency));
  hash.add(std::as_bytes(std::span(frequency, static_cast<std::size_t>(c.rotary_dims / 2))));
  hash.add_value(c.rope_scaling.kind);
  hash.add_value(c.rope_scaling.factor);
  hash.add_value(c.rope_scaling.attention_factor);
  hash.add_value(c.rope_interleaved);
  hash.add_value(c.norm_eps);
  hash.add_value(c.tied_output);
  if (!c.mixers.empty()) {
    const RecurrentShape& r = c.recurrent;
    for (const std::int64_t shape :
         {r.key_heads, r.value_heads, r.key_dim, r.value_dim, r.channels, r.conv_width})
      hash.add_value(shape);
    hash.add_value(r.grouped);
    hash.add(std::as_bytes(std::span(c.mixers)));
  }
  hash.add_value(weights);
  return hash.value();
}

}  // namespace kedge::inline KEDGE_ABI
