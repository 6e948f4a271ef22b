#include "kedge/model/forward.hpp"

#include "kedge/op/attention.hpp"

namespace kedge::inline KEDGE_ABI {

Result<Forward> Forward::create(std::shared_ptr<const Model> model, const Cpu& cpu, KvCache& cache,
                                const Options& options) noexcept {
  const ModelConfig& config = model->config();
  Forward forward;
  forward.options_ = options;
  forward.model_ = std::move(model);
  forward.cache_ = &cache;
  Tensor rope = tensor(nullptr, Element::f32, cache.positions(), config.rotary_dims);
  KEDGE_TRY(forward.rope_, Buffer::create(rope.bytes(), "rope table", options.allocator));
  rope.data = forward.rope_.data();
  KEDGE_CHECK(fill_rope_table(rope, config.rope_base, config.rope_scaling));

  Graph graph(options.max_rows, options.max_outputs);
  KEDGE_TRY(const PassValues values, build_transformer(graph, *forward.model_, cache, rope));
  KEDGE_TRY(forward.plan_, Plan::compile(graph, cpu, options.allocator));
  forward.token_ = forward.plan_.locate(values.token);
  forward.position_ = forward.plan_.locate(values.position);
  forward.sequence_ = forward.plan_.locate(values.sequence);
  forward.tiles_ = forward.plan_.locate(values.tiles);
  forward.output_row_ = forward.plan_.locate(values.output_row);
  forward.logits_ = forward.plan_.locate(values.logits);
  forward.choice_ = forward.plan_.locate(values.choice);
  return forward;
}

Status Forward::run(std::span<const Row> rows) noexcept {
  const auto count = static_cast<std::int64_t>(rows.size());
  if (count < 1 || count > options_.max_rows)
    return fail(Code::invalid_argument, "forward", "rows: expected 1..%lld, found %lld",
                static_cast<long long>(options_.max_rows), static_cast<long long>(count));
  const std::int64_t vocabulary = model_->config().vocabulary;
  std::int64_t outputs = 0;
  for (std::int64_t r = 0; r < count; ++r) {
    const Row& row = rows[static_cast<std::size_t>(r)];
    if (row.token < 0 || row.token >= vocabulary)
      return fail(Code::invalid_argument, "forward", "row %lld: token %d is not in 0..%lld",
                  static_cast<long long>(r), row.token, static_cast<long long>(vocabulary - 1));
    if (row.position < 0 || row.position >= cache_->positions() || row.sequence < 0 ||
        row.sequence >= cache_->sequences())
      return fail(Code::invalid_argument, "forward",
                  "row %lld: position %d of sequence %d is outside the cache (%lld positions, %lld "
                  "sequences)",
                  static_cast<long long>(r), row.position, row.sequence,
                  static_cast<long long>(cache_->positions()),
                  static_cast<long long>(cache_->sequences()));
    token_.as<std::int32_t>()[r] = row.token;
    position_.as<std::int32_t>()[r] = row.position;
    sequence_.as<std::int32_t>()[r] = row.sequence;
    if (!row.wanted) continue;
    if (outputs == options_.max_outputs)
      return fail(Code::invalid_argument, "forward", "more than %lld rows want their logits",
                  static_cast<long long>(options_.max_outputs));
    output_row_.as<std::int32_t>()[outputs++] = static_cast<std::int32_t>(r);
  }
  KEDGE_CHECK(op::fill_attention_tiles(position_.as<std::int32_t>(), sequence_.as<std::int32_t>(),
                                       count, tiles_));
  KEDGE_CHECK(plan_.run(count, outputs));
  for (std::int64_t i = 0; i < outputs; ++i)
    if (choice(i) < 0) {
      const Row& row = rows[static_cast<std::size_t>(output_row_.as<std::int32_t>()[i])];
      return fail(Code::numeric, "logits", "a NaN at position %d of sequence %d (token %d)",
                  row.position, row.sequence, row.token);
    }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
