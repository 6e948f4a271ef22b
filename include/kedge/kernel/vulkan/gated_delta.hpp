// Host side of gated_delta on Vulkan: a dispatch that prepares q, k and e of every row, and one in
// which teams of 8 lanes take columns of a head through the rows of a run.
#pragma once

#include "kedge/abi/gated_delta.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/gated_delta.hpp"

KEDGE_DECLARE_SHADER(gated_delta_prepare_shared)
KEDGE_DECLARE_SHADER(gated_delta_prepare_subgroup)
KEDGE_DECLARE_SHADER(gated_delta_rows_shared)
KEDGE_DECLARE_SHADER(gated_delta_rows_subgroup)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::GatedDelta> {
  using Args = op::GatedDelta::Args;
  // Fixed: the order of the sum in the norms depends on it.
  static constexpr std::uint32_t prepare_lanes = 32;

  static Status record(const Args& a, std::int64_t rows, vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::GatedDelta::name;
    const vulkan::Limits& limits = recorder.limits();
    KEDGE_CHECK(vulkan::expect_rows(name, a.x, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "x", a.x, Element::f32));
    KEDGE_CHECK(vulkan::expect_element(name, "state", a.state, Element::f32));

    const auto count = static_cast<std::uint32_t>(rows);
    const auto key_heads = static_cast<std::uint32_t>(a.key_heads);
    vulkan::Dispatch prepare(limits.subgroup_shuffle ? vulkan::shader::gated_delta_prepare_subgroup
                                                     : vulkan::shader::gated_delta_prepare_shared,
                             prepare_lanes);
    fill(a, count, 4, prepare);
    const auto shares = static_cast<std::uint64_t>(a.value_heads / a.key_heads);
    prepare.loops = (static_cast<std::uint64_t>(a.key_dim) / prepare_lanes + 1) * (2 + shares) + 32;
    KEDGE_CHECK(vulkan::spread(limits, name, std::uint64_t{count} * key_heads, 1, prepare));
    KEDGE_CHECK(recorder.dispatch(prepare));

    // As in attention.hpp, a workgroup is one subgroup of 8 where subgroups are that small. A
    // lane's share of the state, key_dim / 8 times columns, should fit into registers.
    const bool subgroup = limits.subgroup_shuffle && limits.subgroup_size == 8;
    const std::uint32_t columns = subgroup && a.key_dim <= 128 ? 8 : 4;
    const std::uint32_t lanes = subgroup ? 8 : 64, teams = lanes / 8;
    vulkan::Dispatch d(subgroup ? vulkan::shader::gated_delta_rows_subgroup
                                : vulkan::shader::gated_delta_rows_shared,
                       lanes);
    fill(a, count, columns, d);
    const auto groups = (static_cast<std::uint32_t>(a.value_dim) + columns - 1) / columns;
    const std::uint64_t head_units = (groups + teams - 1) / teams;
    const std::int64_t runs = a.runs.rows() - 1 < rows ? a.runs.rows() - 1 : rows;
    d.loops = loops(a, count);
    KEDGE_CHECK(vulkan::spread(
        limits, name,
        static_cast<std::uint64_t>(runs) * static_cast<std::uint64_t>(a.value_heads) * head_units,
        1, d));
    return recorder.dispatch(d);
  }

 private:
  static void fill(const Args& a, std::uint32_t rows, std::uint32_t columns,
                   vulkan::Dispatch& d) noexcept {
    using Abi = abi::GatedDelta;
    d.specialize(Abi::key_dim, static_cast<std::uint32_t>(a.key_dim));
    d.specialize(Abi::value_dim, static_cast<std::uint32_t>(a.value_dim));
    d.specialize(Abi::channel_decay, op::GatedDelta::channel_decay(a) ? 1 : 0);
    d.specialize(Abi::l2_max, a.l2_max ? 1 : 0);
    d.specialize(Abi::grouped, a.grouped ? 1 : 0);
    d.specialize(Abi::columns, columns);
    for (const Tensor* t :
         {&a.x, &a.decay, &a.beta, &a.runs, &a.steps, &a.state, &a.records, &a.scratch, &a.y})
      d.bind(*t);
    d.constants_from(Abi::Push{rows, static_cast<std::uint32_t>(a.key_heads),
                               static_cast<std::uint32_t>(a.value_heads),
                               static_cast<std::uint32_t>(a.record_slots), a.l2_eps,
                               1.0f / __builtin_sqrtf(static_cast<float>(a.key_dim))});
  }

  // The rows of a run, the records that it replays, and for branches the walks to a kept state. A
  // branch is taken to be at most `depth` rows behind one.
  static std::uint64_t loops(const Args& a, std::uint64_t rows) noexcept {
    if (a.records.empty()) return 4 * rows + 16;
    const std::uint64_t depth = rows < 32 ? rows : 32;
    return 4 * rows + 16 + static_cast<std::uint64_t>(a.record_slots) +
           depth * (2 * depth + depth * depth / 2);
  }
};

}  // namespace kedge::inline KEDGE_ABI
