// Result<T>: a value or the reason why there is none, with the spelling of C++23's std::expected.
// Nothing in Kedge throws or aborts; every failure that a user, file, device or allocator can cause
// travels in one of these. An Error owns no memory, so reporting "out of memory" cannot itself
// fail.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <new>
#include <type_traits>
#include <utility>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI {

enum class Code : std::uint8_t {
  invalid_argument,  // the caller passed something that can never work
  unsupported,       // well formed, but this build has no kernel, format or architecture for it
  malformed,         // a file contradicts itself or its format
  not_found,         // a file, tensor, key or device that is not there
  out_of_memory,     // an allocation failed or a budget was exceeded
  io,                // the operating system refused to read or write
  device,            // a device failed or refused
  cancelled,         // the caller asked to stop
  busy,              // the object is in use by another call
  numeric,           // a NaN or infinity where none may be
};

constexpr const char* to_string(Code code) noexcept {
  constexpr const char* names[] = {
      "invalid argument", "unsupported", "malformed", "not found", "out of memory",
      "i/o error",        "device",      "cancelled", "busy",      "numeric"};
  return names[static_cast<unsigned>(code)];
}

// What failed (code), where (file, tensor, key, argument) and why, with the offending values.
struct Error {
  Code code = Code::invalid_argument;
  char place[128] = {};
  char reason[384] = {};

  // `format` follows snprintf; text that does not fit is cut, never lost with an error of its own.
  __attribute__((format(printf, 3, 4))) static Error make(Code code, const char* place,
                                                          const char* format, ...) noexcept {
    Error error;
    error.code = code;
    std::snprintf(error.place, sizeof error.place, "%s", place);
    std::va_list args;
    va_start(args, format);
    std::vsnprintf(error.reason, sizeof error.reason, format, args);
    va_end(args);
    return error;
  }
};

struct Unexpected {
  Error error;
};
inline Unexpected unexpected(const Error& error) noexcept { return Unexpected{error}; }

// Shorthand for `return fail(Code::malformed, tensor_name, "expected %d, found %d", a, b);`
__attribute__((format(printf, 3, 0))) inline Unexpected fail_v(Code code, const char* place,
                                                               const char* format,
                                                               std::va_list args) noexcept {
  Error error;
  error.code = code;
  std::snprintf(error.place, sizeof error.place, "%s", place);
  std::vsnprintf(error.reason, sizeof error.reason, format, args);
  return Unexpected{error};
}
__attribute__((format(printf, 3, 4))) inline Unexpected fail(Code code, const char* place,
                                                             const char* format, ...) noexcept {
  std::va_list args;
  va_start(args, format);
  const Unexpected result = fail_v(code, place, format, args);
  va_end(args);
  return result;
}

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(const T& value) : has_(true) { new (&storage_.value) T(value); }
  Result(T&& value) noexcept : has_(true) { new (&storage_.value) T(std::move(value)); }
  Result(const Unexpected& failure) noexcept : has_(false) {
    new (&storage_.error) Error(failure.error);
  }
  Result(Result&& other) noexcept : has_(other.has_) {
    if (has_) new (&storage_.value) T(std::move(other.storage_.value));
    else new (&storage_.error) Error(other.storage_.error);
  }
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;
  Result& operator=(Result&& other) noexcept {
    if (this != &other) {
      this->~Result();
      new (this) Result(std::move(other));
    }
    return *this;
  }
  ~Result() {
    if (has_) storage_.value.~T();
  }

  bool has_value() const noexcept { return has_; }
  explicit operator bool() const noexcept { return has_; }
  // Only after has_value(): asking for a value that is not there is a defect of the caller.
  T& operator*() & noexcept { return storage_.value; }
  const T& operator*() const& noexcept { return storage_.value; }
  T&& operator*() && noexcept { return std::move(storage_.value); }
  T* operator->() noexcept { return &storage_.value; }
  const T* operator->() const noexcept { return &storage_.value; }
  const Error& error() const noexcept { return storage_.error; }
  template <class U>
  T value_or(U&& other) && {
    return has_ ? std::move(storage_.value) : static_cast<T>(std::forward<U>(other));
  }

 private:
  union Storage {
    Storage() {}
    ~Storage() {}
    T value;
    Error error;
  } storage_;
  bool has_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() noexcept : has_(true) {}
  Result(const Unexpected& failure) noexcept : error_(failure.error), has_(false) {}
  bool has_value() const noexcept { return has_; }
  explicit operator bool() const noexcept { return has_; }
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
  bool has_;
};

using Status = Result<void>;

}  // namespace kedge::inline KEDGE_ABI

// KEDGE_CHECK(expression): returns its error from the enclosing function, if it has one.
#define KEDGE_CHECK(...)                                    \
  do {                                                      \
    if (auto kedge_status_ = (__VA_ARGS__); !kedge_status_) \
      return ::kedge::unexpected(kedge_status_.error());    \
  } while (false)

// KEDGE_TRY(auto value, expression): binds the value, or returns the error.
#define KEDGE_TRY(declaration, ...) \
  KEDGE_TRY_AT_(KEDGE_JOIN_(kedge_result_, __COUNTER__), declaration, __VA_ARGS__)
#define KEDGE_TRY_AT_(name, declaration, ...)          \
  auto name = (__VA_ARGS__);                           \
  if (!name) return ::kedge::unexpected(name.error()); \
  declaration = *std::move(name)
#define KEDGE_JOIN_(a, b) KEDGE_JOIN_2_(a, b)
#define KEDGE_JOIN_2_(a, b) a##b
