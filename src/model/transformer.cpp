#include "kedge/model/transformer.hpp"

#include <algorithm>

#include "kedge/kernel/cpu/argmax.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/place_columns.hpp"
#include "kedge/kernel/cpu/rms_norm.hpp"
#include "kedge/kernel/cpu/row_lookup.hpp"
#include "kedge/state/recurrent_state.hpp"
#include "model/blocks.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

class Builder {
 public:
  Builder(Graph& graph, const Model& model, const KvCache& cache, const RecurrentState* recurrent,
          const Tensor& rope_table, std::span<const std::int32_t> taps)
      : graph_(graph),
        model_(model),
        c_(model.config()),
        recurrent_(recurrent),
        taps_(taps),
        blocks_(graph, model.config(), cache, recurrent, rope_table, v_) {}

  Result<PassValues> build() {
    const ModelWeights& w = model_.weights();
    const std::int64_t rows = graph_.max_rows();
    KEDGE_TRY(v_.token, graph_.external(Element::i32, rows, Graph::Extent::once));
    KEDGE_TRY(v_.position, graph_.external(Element::i32, rows, Graph::Extent::once));
    KEDGE_TRY(v_.sequence, graph_.external(Element::i32, rows, Graph::Extent::once));
    KEDGE_TRY(v_.slot, graph_.external(Element::i32, rows, Graph::Extent::once));
    KEDGE_TRY(v_.parent, graph_.external(Element::i32, rows, Graph::Extent::once));
    KEDGE_TRY(v_.tiles, graph_.external(Element::i32, 4 * (rows + 1), Graph::Extent::once));
    v_.tiles.extent[0] = rows + 1;
    v_.tiles.extent[1] = 4;
    KEDGE_TRY(v_.output_row,
              graph_.external(Element::i32, graph_.max_outputs(), Graph::Extent::once));

    if (c_.recurrent.layers > 0) KEDGE_CHECK(recurrent_tables());
    KEDGE_CHECK(expect_taps());

    KEDGE_TRY(Tensor x, graph_.activation(Element::f32, c_.width));
    KEDGE_CHECK(graph_.add<op::RowLookup>({v_.token, w.embedding, x}));
    std::int64_t attention = 0, delta = 0;
    for (std::int64_t i = 0; i < c_.layers; ++i) {
      const LayerWeights& layer = w.layers[static_cast<std::size_t>(i)];
      KEDGE_CHECK(tap(static_cast<std::int32_t>(i), x));
      if (c_.mixer(i) == Mixer::delta) KEDGE_CHECK(blocks_.delta(layer, delta++, x));
      else KEDGE_CHECK(blocks_.attention(layer, attention++, x));
      KEDGE_CHECK(blocks_.feed_forward(layer, x));
    }
    KEDGE_CHECK(tap(static_cast<std::int32_t>(c_.layers), x));
    KEDGE_CHECK(tap_norm(x));
    return head(x);
  }

 private:
  Status expect_taps() {
    for (const std::int32_t tap : taps_)
      if (tap < tap_normed || tap > c_.layers)
        return fail(Code::invalid_argument, "transformer",
                    "taps: expected -1 (behind the final norm) or the number of a layer, 0..%lld, "
                    "found %d",
                    static_cast<long long>(c_.layers), tap);
    if (taps_.empty()) return {};
    KEDGE_TRY(v_.features,
              graph_.external(Element::f32, static_cast<std::int64_t>(taps_.size()) * c_.width));
    return {};
  }
  Status tap(std::int32_t number, const Tensor& x) {
    for (std::size_t i = 0; i < taps_.size(); ++i)
      if (taps_[i] == number)
        KEDGE_CHECK(graph_.add<op::PlaceColumns>(
            {x, v_.features, static_cast<std::int32_t>(static_cast<std::int64_t>(i) * c_.width)}));
    return {};
  }
  Status tap_norm(const Tensor& x) {
    if (std::find(taps_.begin(), taps_.end(), tap_normed) == taps_.end()) return {};
    KEDGE_TRY(const Tensor h, graph_.activation(Element::f32, c_.width));
    KEDGE_CHECK(graph_.add<op::RmsNorm>({x, model_.weights().output_norm, h, c_.norm_eps}));
    return tap(tap_normed, h);
  }

  // A run has a row at least.
  Status recurrent_tables() {
    if (recurrent_ == nullptr || !(recurrent_->shape() == c_.recurrent))
      return fail(Code::invalid_argument, "transformer",
                  "recurrent state: expected that of the model's %lld recurrent layers, found %s",
                  static_cast<long long>(c_.recurrent.layers),
                  recurrent_ == nullptr ? "none" : "another shape");
    const std::int64_t runs = 1 + graph_.max_rows();
    KEDGE_TRY(v_.runs, graph_.external(Element::i32, 12 * runs, Graph::Extent::once));
    v_.runs.extent[0] = runs;
    v_.runs.extent[1] = 12;
    KEDGE_TRY(v_.steps, graph_.external(Element::i32, 4));
    return {};
  }

  // Only rows whose logits are wanted reach the head: first they are gathered.
  Result<PassValues> head(const Tensor& x) {
    const ModelWeights& w = model_.weights();
    graph_.begin_outputs();
    KEDGE_TRY(const Tensor last, graph_.activation(Element::f32, c_.width, Graph::Extent::outputs));
    KEDGE_CHECK(graph_.add<op::RowLookup>({v_.output_row, x, last}));
    KEDGE_TRY(Tensor h,
              graph_.activation(product_input(graph_, w.output), c_.width, Graph::Extent::outputs));
    KEDGE_CHECK(graph_.add<op::RmsNorm>({last, w.output_norm, h, c_.norm_eps}));
    KEDGE_TRY(v_.logits, graph_.kept(Element::f32, c_.vocabulary, Graph::Extent::outputs));
    KEDGE_TRY(const Head made, add_head(graph_, h, w.output, v_.logits));
    v_.choice = made.choice;
    v_.logits_wanted = made.logits_wanted;
    return v_;
  }

  Graph& graph_;
  const Model& model_;
  const ModelConfig& c_;
  const RecurrentState* recurrent_;
  std::span<const std::int32_t> taps_;
  PassValues v_;
  Blocks blocks_;
};

}  // namespace

Result<PassValues> build_transformer(Graph& graph, const Model& model, const KvCache& cache,
                                     const RecurrentState* recurrent, const Tensor& rope_table,
                                     std::span<const std::int32_t> taps) noexcept {
  return Builder(graph, model, cache, recurrent, rope_table, taps).build();
}

}  // namespace kedge::inline KEDGE_ABI
