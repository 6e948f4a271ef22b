#include "fuzz/counted_new.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

struct State {
  bool armed, refused;
  std::size_t limit, fail_at, largest, requests;
};
thread_local State state{};

void* request(std::size_t size, std::size_t alignment) noexcept {
  if (state.armed) {
    ++state.requests;
    state.largest = std::max(state.largest, size);
    if (size > state.limit || state.requests == state.fail_at) {
      state.refused = true;
      return nullptr;
    }
  }
  if (alignment <= alignof(std::max_align_t)) return std::malloc(std::max<std::size_t>(size, 1));
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}
void* request_or_throw(std::size_t size, std::size_t alignment) {
  void* memory = request(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

namespace kedge_test {

Meter::Meter(std::size_t limit, std::size_t fail_at) noexcept {
  state = {true, false, limit, fail_at, 0, 0};
}
Meter::~Meter() { state.armed = false; }
std::size_t Meter::largest() noexcept { return state.largest; }
std::size_t Meter::requests() noexcept { return state.requests; }
bool Meter::refused() noexcept { return state.refused; }

}  // namespace kedge_test

// All forms, so that every delete meets the new of its kind.
void* operator new(std::size_t size) { return request_or_throw(size, 0); }
void* operator new[](std::size_t size) { return request_or_throw(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return request_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return request_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return request(size, 0); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return request(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return request(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return request(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}
