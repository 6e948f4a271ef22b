// Forward: a model's plan bound to a cache. One run is one pass over the weights for all its rows,
// which may belong to several sequences; what a row computes depends on its own past alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kedge/graph/plan.hpp"
#include "kedge/model/model.hpp"
#include "kedge/model/transformer.hpp"
#include "kedge/state/kv_cache.hpp"

namespace kedge::inline KEDGE_ABI {

// One token to evaluate. Rows of a sequence are consecutive, with ascending positions.
struct Row {
  std::int32_t token = 0;
  std::int32_t position = 0;
  std::int32_t sequence = 0;
  bool wanted = false;  // whether its logits are
};

class KEDGE_API Forward {
 public:
  struct Options {
    std::int64_t max_rows = 256;    // of one pass
    std::int64_t max_outputs = 32;  // of one pass
    Allocator allocator = default_allocator();
  };

  // The cache must outlive this object and keep its address.
  static Result<Forward> create(std::shared_ptr<const Model> model, const Cpu& cpu, KvCache& cache,
                                const Options& options) noexcept;

  // Evaluates the rows, whose pages the caller reserved. Errors name the row: a token outside the
  // vocabulary, a position beyond the cache, more rows than fit, a NaN among wanted logits.
  Status run(std::span<const Row> rows) noexcept;

  // Of the i-th wanted row of the last run.
  std::span<const float> logits(std::int64_t i) const noexcept {
    return {logits_.row<float>(i), static_cast<std::size_t>(logits_.width())};
  }
  std::int32_t choice(std::int64_t i) const noexcept { return choice_.as<std::int32_t>()[i]; }
  std::span<const std::int32_t> choices(std::int64_t count) const noexcept {
    return {choice_.as<std::int32_t>(), static_cast<std::size_t>(count)};
  }

  const Model& model() const noexcept { return *model_; }
  std::int64_t max_rows() const noexcept { return options_.max_rows; }
  std::int64_t max_outputs() const noexcept { return options_.max_outputs; }
  std::size_t activation_bytes() const noexcept { return plan_.arena_bytes(); }
  const Plan& plan() const noexcept { return plan_; }

 private:
  Options options_;
  std::shared_ptr<const Model> model_;
  KvCache* cache_ = nullptr;
  Buffer rope_;
  Plan plan_;
  Tensor token_, position_, sequence_, tiles_, output_row_, logits_, choice_;
};

}  // namespace kedge::inline KEDGE_ABI
