#include "unit/allocations.hpp"

#include <cstdlib>
#include <new>

namespace kedge_test {

thread_local std::size_t allocations = 0;
thread_local std::size_t allocations_left = static_cast<std::size_t>(-1);

}  // namespace kedge_test

using kedge_test::allocations;
using kedge_test::allocations_left;

// Not inlined: the compiler would then complain that new's memory goes to free().
__attribute__((noinline)) void* operator new(std::size_t size) {
  ++allocations;
  if (allocations_left == 0) throw std::bad_alloc();
  --allocations_left;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
