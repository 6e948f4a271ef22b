#include "support/failing_malloc.hpp"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

namespace {
std::atomic<std::int64_t> count{0}, fail_at{0}, live{0};
std::atomic<bool> was_refused{false}, no_threads{false};
}  // namespace

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define KEDGE_REPLACES_MALLOC 1

namespace {
bool refuse() noexcept {
  if (count.fetch_add(1) + 1 != fail_at) return false;
  was_refused = true;
  return true;
}
void* counted(void* memory) noexcept {
  if (memory != nullptr) ++live;
  return memory;
}
}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

#define KEDGE_EXPORT __attribute__((visibility("default")))
KEDGE_EXPORT void* malloc(std::size_t size) {
  return refuse() ? nullptr : counted(__libc_malloc(size));
}
KEDGE_EXPORT void* calloc(std::size_t n, std::size_t size) {
  return refuse() ? nullptr : counted(__libc_calloc(n, size));
}
KEDGE_EXPORT void* realloc(void* memory, std::size_t size) {
  if (refuse()) return nullptr;
  void* moved = __libc_realloc(memory, size);
  if (memory == nullptr) counted(moved);
  return moved;
}
KEDGE_EXPORT void* memalign(std::size_t alignment, std::size_t size) {
  return refuse() ? nullptr : counted(__libc_memalign(alignment, size));
}
KEDGE_EXPORT void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return refuse() ? nullptr : counted(__libc_memalign(alignment, size));
}
KEDGE_EXPORT int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  *memory = refuse() ? nullptr : counted(__libc_memalign(alignment, size));
  return *memory == nullptr ? ENOMEM : 0;
}
KEDGE_EXPORT void free(void* memory) {
  if (memory != nullptr) --live;
  __libc_free(memory);
}
KEDGE_EXPORT int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                void* (*body)(void*), void* argument) {
  using Function = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pthread_create"));
  return no_threads ? EAGAIN : real(thread, attributes, body, argument);
}
}
#endif

namespace kedge::tests {

bool malloc_can_fail() noexcept {
#if defined(KEDGE_REPLACES_MALLOC)
  return true;
#else
  return false;
#endif
}
void fail_request(std::int64_t n) noexcept {
  count = 0;
  was_refused = false;
  fail_at = n;
}
std::int64_t requests() noexcept { return count; }
bool refused() noexcept { return was_refused; }
std::int64_t alive() noexcept { return live; }
void fail_threads(bool fail) noexcept { no_threads = fail; }

}  // namespace kedge::tests
