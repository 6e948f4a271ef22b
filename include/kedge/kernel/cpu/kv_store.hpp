// Host side of kv_store on the CPU: one phase; a unit is 64 rows of one head, since the rows of a
// page share the cache lines of its transposed keys.
#pragma once

#include "kedge/kernel/cpu/cache_kind.hpp"
#include "kedge/kernel/cpu/kernel.hpp"
#include "kedge/op/kv_store.hpp"

namespace kedge::inline KEDGE_ABI {

namespace cpu {
struct KvStoreUnit {
  PhaseBody body[cache_kinds];  // see cache_kind()
};
KEDGE_DECLARE_UNITS(KvStoreUnit, kv_store)

constexpr std::int64_t kv_store_rows = 64;  // rows of a unit

inline std::size_t kv_store_units(const void* args, const Launch& launch) noexcept {
  const auto& a = *static_cast<const op::KvStore::Args*>(args);
  return static_cast<std::size_t>((launch.rows + kv_store_rows - 1) / kv_store_rows * a.kv_heads);
}
}  // namespace cpu

template <>
struct Kernel<Cpu, op::KvStore> {
  static Result<cpu::PhaseList> phases(cpu::Isa isa, const op::KvStore::Args& a) noexcept {
    const cpu::KvStoreUnit& unit = cpu::kv_store_unit(isa);
    cpu::PhaseList list;
    list.item[list.count++] = {unit.body[cpu::cache_kind(a.cache.element)], cpu::kv_store_units};
    return list;
  }
};

}  // namespace kedge::inline KEDGE_ABI
