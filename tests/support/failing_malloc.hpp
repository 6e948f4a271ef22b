// The C library's allocation functions, replaced: they count what is alive and refuse the n-th
// request. operator new calls them, and so does every library in the process. Thread creation can
// be refused too.
#pragma once

#include <cstdint>

namespace kedge::tests {

// False where a sanitizer has malloc for itself.
bool malloc_can_fail() noexcept;

// Refuses the n-th request from now on, counted from 1; 0: none. Later requests succeed.
void fail_request(std::int64_t n) noexcept;
std::int64_t requests() noexcept;  // since fail_request()
bool refused() noexcept;           // whether one was
std::int64_t alive() noexcept;     // allocations that were not freed

void fail_threads(bool fail) noexcept;

}  // namespace kedge::tests
