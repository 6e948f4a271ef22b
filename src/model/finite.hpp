// Whether stored weights are numbers: a NaN or infinity in a value, or in a scale of a block, makes
// every result a NaN sooner or later, and is found cheapest while the bytes pass by. Private to the
// compiled library.
#pragma once

#include <cstdint>

#include "kedge/core/element.hpp"

namespace kedge::inline KEDGE_ABI {

// Index of the first value of a row that is not finite (of a block: its first value), else -1.
std::int64_t find_not_finite(Element element, const std::byte* row, std::int64_t width) noexcept;

}  // namespace kedge::inline KEDGE_ABI
