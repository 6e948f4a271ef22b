// Forward: a model's plan bound to a cache. One run is one pass over the weights for all its rows,
// which may belong to several sequences; what a row computes depends on its own past alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kedge/graph/plan.hpp"
#include "kedge/model/model.hpp"
#include "kedge/model/transformer.hpp"
#include "kedge/op/top_k.hpp"
#include "kedge/state/kv_cache.hpp"

namespace kedge::inline KEDGE_ABI {

// What a caller wants of a row. Each includes what stands before it; asking for little leaves room
// for backends that never write whole logits.
enum class Need : std::uint8_t {
  none,    // only its keys and values
  argmax,  // the largest logit's token
  top_k,   // the largest logits and their tokens
  logits,  // all of them
};

// One token to evaluate. Rows of a sequence are consecutive, and each stands behind the row before
// it, at the next position, unless it says that it branches off an earlier one.
struct Row {
  static constexpr std::int32_t before = -1;

  std::int32_t token = 0;
  std::int32_t position = 0;
  std::int32_t sequence = 0;
  Need need = Need::none;
  // The row of this call that it stands behind; a pass with branches is a tree to its sequence too
  // (Sequence::begin_tree).
  std::int32_t parent = before;
};

class KEDGE_API Forward {
 public:
  struct Options {
    std::int64_t max_rows = 256;    // of one pass
    std::int64_t max_outputs = 32;  // of one pass: rows that need more than nothing
    std::int64_t max_top = 0;       // the most that Need::top_k may ask for, at most 256
    // Hidden states that are kept of every row: k in 0..layers is the residual stream that enters
    // layer k (layers: that leaves the last), tap_normed what stands behind the final norm. Copied.
    std::span<const std::int32_t> taps = {};
    Allocator allocator = default_allocator();
  };

  // Cache and recurrent state must outlive this object and keep their addresses; models without
  // recurrent layers have no state. Where the model has an accelerator, both have their storage
  // from it (DeviceMemory::state), passes run there, and `cpu` only does what is left.
  static Result<Forward> create(std::shared_ptr<const Model> model, const Cpu& cpu, KvCache& cache,
                                const Options& options,
                                RecurrentState* recurrent = nullptr) noexcept;

  struct Pass {
    std::int64_t top = 0;                       // how many for rows that need top_k
    const std::atomic<bool>* cancel = nullptr;  // as in Cpu::run
  };

  // Evaluates the rows, whose pages the caller reserved. Errors name the row: a token outside the
  // vocabulary, a position beyond the cache, more rows than fit, a NaN among the logits of a row
  // that needs them.
  Status run(std::span<const Row> rows) noexcept;
  // The same without looking for NaNs: a draft that is undone may have some. finite(i) tells.
  Status evaluate(std::span<const Row> rows, const Pass& pass) noexcept;
  // Of the i-th row that needed anything: Code::numeric names its position.
  Status finite(std::int64_t i) const noexcept;

  // Of the i-th row that needed anything in the last run; empty where it needed less than logits.
  std::span<const float> logits(std::int64_t i) const noexcept {
    if (need_.as<Need>()[i] != Need::logits) return {};
    return {logits_.row<float>(i), static_cast<std::size_t>(logits_.width())};
  }
  // The largest logits, descending, of equal ones the lower token first; where less than top_k was
  // needed they are empty.
  struct Top {
    std::span<const std::int32_t> tokens;
    std::span<const float> logits;
  };
  Top top(std::int64_t i) const noexcept;
  // -1: there is a NaN.
  std::int32_t choice(std::int64_t i) const noexcept { return choice_.as<std::int32_t>()[i]; }
  std::span<const std::int32_t> choices(std::int64_t count) const noexcept {
    return {choice_.as<std::int32_t>(), static_cast<std::size_t>(count)};
  }

  std::span<const std::int32_t> taps() const noexcept { return taps_; }
  // Of the last pass: f32 [rows, taps * width], in the order of the list; empty without taps.
  Tensor features() const noexcept { return features_; }
  const Model& model() const noexcept { return *model_; }
  std::int64_t max_rows() const noexcept { return options_.max_rows; }
  std::int64_t max_outputs() const noexcept { return options_.max_outputs; }
  std::int64_t max_top() const noexcept { return options_.max_top; }
  std::size_t activation_bytes() const noexcept { return plan_.arena_bytes(); }
  const Plan& plan() const noexcept { return plan_; }

 private:
  Status compile_top(Accelerator& device);
  Status compile_copy(Accelerator& device);
  Status run_there(std::int64_t rows, std::int64_t outputs, bool top, bool logits,
                   const std::atomic<bool>* cancel) noexcept;
  std::size_t place_top(std::int64_t k, std::byte* memory) noexcept;
  Status place_rows(std::span<const Row> rows) noexcept;

  Options options_;
  Cpu cpu_;
  std::shared_ptr<const Model> model_;
  KvCache* cache_ = nullptr;
  RecurrentState* recurrent_ = nullptr;
  Tensor runs_, steps_;
  std::vector<std::int32_t> taps_;
  Tensor features_;
  Buffer rope_;
  Plan plan_;
  Plan top_plan_;   // on an accelerator: the largest logits of every output, max_top of them
  Plan copy_plan_;  // on one whose memory the host does not read: whole logits of every output
  Tensor token_, position_, sequence_, slot_, parent_, tiles_, output_row_, logits_, choice_;
  Tensor logits_wanted_;  // on the CPU
  Buffer need_;           // of every output
  Buffer top_memory_;     // of all that top_ points at
  op::TopK::Args top_;
  std::int64_t top_count_ = 0;  // that the last pass was asked for
};

}  // namespace kedge::inline KEDGE_ABI
