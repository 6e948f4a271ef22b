// operator new of this program, counted, and refused when its budget is used up.
#pragma once

#include <cstddef>

namespace kedge_test {

extern thread_local std::size_t allocations;       // so far
extern thread_local std::size_t allocations_left;  // std::bad_alloc after so many more

}  // namespace kedge_test
