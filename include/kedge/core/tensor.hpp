// Tensor: the erased view that graphs, files and operators hand to each other. It owns nothing.
// Rows are contiguous along the last extent; matrices of a model may be in 16-row panels instead
// (kernel/cpu/panel.hpp). Typed access: rows<float>().
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kedge/core/element.hpp"

namespace kedge::inline KEDGE_ABI {

enum class Layout : std::uint8_t {
  row_major,
  panel16,  // 16 rows interleaved, see kernel/cpu/panel.hpp
};

// Kernel units use these functions, so they are inlined by force (see KEDGE_INLINE).
struct Tensor {
  static constexpr int max_rank = 4;

  std::byte* data = nullptr;
  std::int64_t extent[max_rank] = {1, 1, 1, 1};  // outermost first; unused ones are 1
  std::uint8_t rank = 0;
  Element element = Element::f32;
  Layout layout = Layout::row_major;
  std::uint32_t value = 0;  // the graph value it stands for, 0 outside a graph

  KEDGE_INLINE constexpr bool empty() const noexcept { return rank == 0; }
  KEDGE_INLINE constexpr std::int64_t width() const noexcept {
    return rank == 0 ? 0 : extent[rank - 1];
  }
  KEDGE_INLINE constexpr std::int64_t rows() const noexcept {
    std::int64_t n = 1;
    for (int i = 0; i + 1 < rank; ++i) n *= extent[i];
    return n;
  }
  KEDGE_INLINE constexpr std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(rows()) * row_bytes(element, width());
  }
  template <class T>
  KEDGE_INLINE T* row(std::int64_t index) const noexcept {
    // Of numbers a row's bytes take no division by the block, which loops over rows would feel.
    using Value = std::remove_const_t<T>;
    if constexpr (std::is_same_v<Value, float> || std::is_same_v<Value, std::int32_t>)
      return reinterpret_cast<T*>(data) + index * width();
    else
      return reinterpret_cast<T*>(data +
                                  static_cast<std::size_t>(index) * row_bytes(element, width()));
  }
  template <class T>
  KEDGE_INLINE T* as() const noexcept {
    return reinterpret_cast<T*>(data);
  }
};

// tensor(data, Element::f32, rows, width)
template <class... Extents>
constexpr Tensor tensor(const void* data, Element element, Extents... extents) noexcept {
  static_assert(sizeof...(Extents) >= 1 && sizeof...(Extents) <= Tensor::max_rank);
  Tensor t;
  t.data = static_cast<std::byte*>(const_cast<void*>(data));
  t.element = element;
  int i = 0;
  ((t.extent[i++] = static_cast<std::int64_t>(extents)), ...);
  t.rank = sizeof...(Extents);
  return t;
}

}  // namespace kedge::inline KEDGE_ABI
