// The program's own malloc family, which counts and then calls glibc's under the names that glibc
// exports for this. operator new ends up here too. Only the executable does this, never the
// library.
#include "common/count_allocations.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KEDGE_COUNTS_ALLOCATIONS 1
#else
#define KEDGE_COUNTS_ALLOCATIONS 0
#endif

namespace {
std::atomic<std::int64_t> count{0};
}

namespace kedge::tools {
bool can_count_allocations() noexcept { return KEDGE_COUNTS_ALLOCATIONS != 0; }
std::int64_t allocation_count() noexcept { return count.load(std::memory_order_relaxed); }
}  // namespace kedge::tools

#if KEDGE_COUNTS_ALLOCATIONS
#define KEDGE_INTERPOSE extern "C" __attribute__((visibility("default")))

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace {
void* counted(void* memory) noexcept {
  count.fetch_add(1, std::memory_order_relaxed);
  return memory;
}
}  // namespace

KEDGE_INTERPOSE void* malloc(std::size_t size) noexcept { return counted(__libc_malloc(size)); }
KEDGE_INTERPOSE void* calloc(std::size_t n, std::size_t size) noexcept {
  return counted(__libc_calloc(n, size));
}
KEDGE_INTERPOSE void* realloc(void* old, std::size_t size) noexcept {
  return counted(__libc_realloc(old, size));
}
KEDGE_INTERPOSE void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return counted(__libc_memalign(alignment, size));
}
KEDGE_INTERPOSE void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return counted(__libc_memalign(alignment, size));
}
KEDGE_INTERPOSE int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
  void* const memory = counted(__libc_memalign(alignment, size));
  if (memory == nullptr) return ENOMEM;
  *out = memory;
  return 0;
}
KEDGE_INTERPOSE void free(void* memory) noexcept { __libc_free(memory); }
#endif
