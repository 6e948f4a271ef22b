// Counts every allocation of the process, the C library's included, so that `kedge check` can prove
// that decoding makes none.
#pragma once

#include <cstdint>

namespace kedge::tools {

// False where the C library cannot be interposed (not glibc) or a sanitizer already does.
bool can_count_allocations() noexcept;
// Since the program began, by all threads.
std::int64_t allocation_count() noexcept;

}  // namespace kedge::tools
