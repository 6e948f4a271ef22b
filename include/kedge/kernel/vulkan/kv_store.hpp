// Host side of kv_store on Vulkan: one invocation per dimension, in Q8_0 per block.
#pragma once

#include "kedge/abi/kv_store.h"
#include "kedge/backend/vulkan.hpp"
#include "kedge/op/kv_store.hpp"

KEDGE_DECLARE_SHADER(kv_store_f32)
KEDGE_DECLARE_SHADER(kv_store_half)
KEDGE_DECLARE_SHADER(kv_store_q8_0)

namespace kedge::inline KEDGE_ABI {

template <>
struct Kernel<Vulkan, op::KvStore> {
  static constexpr std::uint32_t lanes = 64;

  static Status record(const op::KvStore::Args& a, std::int64_t rows,
                       vulkan::Recorder& recorder) noexcept {
    constexpr const char* name = op::KvStore::name;
    KEDGE_CHECK(vulkan::expect_rows(name, a.k, rows));
    KEDGE_CHECK(vulkan::expect_element(name, "k", a.k, Element::f32));

    const bool q8 = a.cache.element == Element::q8_0;
    const KvPageLayout layout = op::KvStore::layout(a);
    const auto stride = [&](std::int64_t elements) {  // q8_0: bytes
      return static_cast<std::uint32_t>(q8 ? row_bytes(Element::q8_0, elements)
                                           : static_cast<std::size_t>(elements));
    };
    vulkan::Dispatch d(q8                                ? vulkan::shader::kv_store_q8_0
                       : a.cache.element == Element::f32 ? vulkan::shader::kv_store_f32
                                                         : vulkan::shader::kv_store_half,
                       lanes);
    d.specialize(abi::KvStore::bf16, a.cache.element == Element::bf16 ? 1 : 0);
    d.bind(a.k);
    d.bind(a.v);
    d.bind(a.position);
    d.bind(a.sequence);
    d.bind(a.pages);
    d.bind(a.cache, 0, op::KvStore::cache_bytes(a));
    const std::uint32_t heads = static_cast<std::uint32_t>(rows * a.kv_heads);
    d.constants_from(abi::KvStore::Push{heads, static_cast<std::uint32_t>(a.kv_heads),
                                        static_cast<std::uint32_t>(a.head_dim),
                                        static_cast<std::uint32_t>(a.pages.width()),
                                        stride(a.cache.width()), stride(layout.head_elements())});
    d.loops = q8 ? 32 + 2 * 25 + 32 + 8 : 0;
    const std::uint64_t items =
        std::uint64_t{heads} *
        static_cast<std::uint64_t>(q8 ? a.head_dim / 32 * 2 : layout.value_width());
    KEDGE_CHECK(vulkan::spread(recorder.limits(), name, (items + lanes - 1) / lanes, 1, d));
    return recorder.dispatch(d);
  }
};

}  // namespace kedge::inline KEDGE_ABI
