// Host side of attention and bounded_attention on Vulkan. Up to 16 rows: a dispatch in which the
// splits of a text are work of their own and leave records in scratch, and one that folds them.
// More rows: one dispatch that folds as it goes. Both give the same bytes, for any number of lanes
// and queries per workgroup (shaders/attention.comp), so these are chosen for speed alone.
#pragma once

#include "kedge/abi/attention.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/attention.hpp"

KEDGE_DECLARE_SHADER(attention_fold)
KEDGE_DECLARE_SHADER(attention_f32_shared)
KEDGE_DECLARE_SHADER(attention_f32_subgroup)
KEDGE_DECLARE_SHADER(attention_half_shared)
KEDGE_DECLARE_SHADER(attention_half_subgroup)
KEDGE_DECLARE_SHADER(attention_q8_0_shared)
KEDGE_DECLARE_SHADER(attention_q8_0_subgroup)

namespace kedge::inline KEDGE_ABI {

namespace vulkan {

struct AttentionShape {
  const Shader* module;
  std::uint32_t lanes, queries, chunks;
};

// A device whose subgroups have 8 lanes (Mesa's on processors) takes workgroups of one subgroup:
// there a barrier is a switch of coroutines. More queries per lane would share more loads, but cost
// registers, and time to compile (docs/decisions.md).
inline AttentionShape attention_shape(const Limits& limits, const op::Attention::Args& a,
                                      std::int64_t rows) noexcept {
  const bool subgroup = limits.subgroup_shuffle && limits.subgroup_size == 8;
  const Shader* modules[3][2] = {
      {&shader::attention_f32_shared, &shader::attention_f32_subgroup},
      {&shader::attention_half_shared, &shader::attention_half_subgroup},
      {&shader::attention_q8_0_shared, &shader::attention_q8_0_subgroup}};
  const int kind = a.cache.element == Element::f32 ? 0 : a.cache.element == Element::q8_0 ? 2 : 1;
  const std::uint32_t lanes = subgroup ? 8 : 64, groups = lanes / 8;
  const auto tile = rows < op::Attention::tile_rows ? rows : op::Attention::tile_rows;
  const auto all = static_cast<std::uint32_t>(tile * (a.heads / a.kv_heads));
  constexpr std::uint32_t most = 1;  // Mesa 22 compiles minutes over 4 of them
  std::uint32_t chunks = (all + groups * most - 1) / (groups * most);
  std::uint32_t queries = (all + chunks * groups - 1) / (chunks * groups);
  if (queries == 5) queries = 6;  // fewer pipelines to compile
  if (queries == 7) queries = 8;
  chunks = (all + queries * groups - 1) / (queries * groups);
  return {modules[kind][subgroup], lanes, queries, chunks};
}

// Iterations of one workgroup's loops over these pages.
inline std::uint64_t attention_loops(const op::Attention::Args& a, std::uint64_t pages,
                                     std::uint64_t splits, std::uint32_t queries,
                                     std::int64_t rows) noexcept {
  const auto dims = static_cast<std::uint64_t>(a.head_dim);
  std::uint64_t loops = pages * (dims + dims / 8 + 74) + 2 * splits + 64;
  if (a.parent.empty()) return loops;
  // A branch is at most `depth` rows long; who drafts deeper must do it in fewer than 64 rows.
  const auto depth = static_cast<std::uint64_t>(rows < 64 ? rows : 64);
  return loops + depth + queries * ((depth + 7) / 8 + 2) * (depth + dims + 2) +
         queries * depth * depth;
}

inline Status record_attention(const char* name, const op::Attention::Args& a, std::int64_t rows,
                               Recorder& recorder) noexcept {
  const Limits& limits = recorder.limits();
  KEDGE_CHECK(expect_rows(name, a.q, rows));
  KEDGE_CHECK(expect_element(name, "q", a.q, Element::f32));
  KEDGE_CHECK(expect_element(name, "y", a.y, Element::f32));

  const KvPageLayout layout = op::Attention::layout(a);
  const AttentionShape shape = attention_shape(limits, a, rows);
  const bool whole = rows > op::Attention::few_rows;
  const auto pages = static_cast<std::uint64_t>(a.pages.width());
  const auto splits = static_cast<std::uint64_t>(split_count(a.pages.width() * page_positions));
  // More workgroups than this keep no device busier, and each that has nothing to do costs.
  constexpr std::uint64_t most_groups = 64;
  const std::uint64_t split_groups = whole ? 1 : splits < most_groups ? splits : most_groups;
  const std::uint64_t each = (splits + split_groups - 1) / split_groups;
  const auto units = static_cast<std::uint64_t>(a.kv_heads) * split_groups * shape.chunks;
  // Of one sequence, rows share tiles; of several, each may be alone.
  const std::int64_t tiles =
      a.pages.rows() == 1 ? (rows + op::Attention::tile_rows - 1) / op::Attention::tile_rows : rows;

  const auto bytes = [&](std::int64_t elements) {
    return static_cast<std::uint32_t>(row_bytes(a.cache.element, elements) / 16);
  };
  if (row_bytes(a.cache.element, a.cache.width()) % 16 != 0)
    return fail(Code::unsupported, name, "cache: pages of %lld elements are not 16-byte aligned",
                static_cast<long long>(a.cache.width()));
  const auto fill = [&](Dispatch& d) {
    d.specialize(abi::Attention::head_dim, static_cast<std::uint32_t>(a.head_dim));
    d.specialize(abi::Attention::queries, shape.queries);
    d.specialize(abi::Attention::bf16, a.cache.element == Element::bf16 ? 1 : 0);
    d.specialize(abi::Attention::trees, a.parent.empty() ? 0 : 1);
    d.specialize(abi::Attention::bounded, a.first.empty() ? 0 : 1);
    d.specialize(abi::Attention::whole, whole ? 1 : 0);
    d.bind(a.q);
    d.bind(a.position);
    d.bind(a.sequence);
    d.bind(a.pages);
    d.bind(a.cache, 0, op::Attention::cache_bytes(a));
    d.bind(a.tiles);
    d.bind(a.scratch);
    d.bind(a.y);
    d.bind(a.slot);
    d.bind(a.parent);
    d.bind(a.first);
    d.constants_from(abi::Attention::Push{
        static_cast<std::uint32_t>(rows), static_cast<std::uint32_t>(a.kv_heads),
        static_cast<std::uint32_t>(a.heads / a.kv_heads), static_cast<std::uint32_t>(pages),
        bytes(a.cache.width()), bytes(layout.head_elements()),
        static_cast<std::uint32_t>(a.scratch.extent[2]), static_cast<std::uint32_t>(split_groups),
        shape.chunks, op::Attention::scale(a)});
  };
  Dispatch d(*shape.module, shape.lanes);
  fill(d);
  d.loops = attention_loops(a, whole ? pages : each * pages_per_split, each, shape.queries, rows);
  KEDGE_CHECK(spread(limits, name, units, static_cast<std::uint64_t>(tiles), d));
  KEDGE_CHECK(recorder.dispatch(d));
  if (whole) return {};

  Dispatch fold(shader::attention_fold, 32);
  fill(fold);
  fold.specialize(abi::Attention::queries, 1);
  fold.loops = 8 * splits + 16;
  KEDGE_CHECK(spread(limits, name, static_cast<std::uint64_t>(rows * a.heads), 1, fold));
  return recorder.dispatch(fold);
}

}  // namespace vulkan

template <>
struct Kernel<Vulkan, op::Attention> {
  static Status record(const op::Attention::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    return vulkan::record_attention(op::Attention::name, a, rows, recorder);
  }
};

}  // namespace kedge::inline KEDGE_ABI
