// Library: a shared library opened at run time, so that what it offers can be missing.
#pragma once

#include <dlfcn.h>

#include <utility>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::os {

class Library {
 public:
  // `name` as the system's loader searches it. Code::not_found with the loader's words.
  static Result<Library> open(const char* name) noexcept {
    Library library;
    library.handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library.handle_ == nullptr) {
      const char* why = dlerror();
      return fail(Code::not_found, name, "%s", why == nullptr ? "cannot be opened" : why);
    }
    return library;
  }

  // Null when the library has no such symbol.
  template <class Function>
  Function symbol(const char* name) const noexcept {
    return reinterpret_cast<Function>(dlsym(handle_, name));
  }

  Library() noexcept = default;
  Library(Library&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Library& operator=(Library&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Library() {
    if (handle_ != nullptr) dlclose(handle_);
  }

 private:
  void* handle_ = nullptr;
};

}  // namespace kedge::inline KEDGE_ABI::os
