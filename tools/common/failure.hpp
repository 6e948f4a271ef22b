// Inside the program failures are exceptions; main turns every one into the single line
// "kedge: <code>: <place>: <reason>" and an exit status: 1 for what failed, 2 for bad usage.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "kedge/core/result.hpp"

namespace kedge::tools {

class Failure : public std::runtime_error {
 public:
  Failure(int exit_status, const std::string& code, const std::string& place,
          const std::string& reason)
      : std::runtime_error(code + ": " + place + ": " + reason), exit_status_(exit_status) {}
  explicit Failure(const Error& error)
      : Failure(1, to_string(error.code), error.place, error.reason) {}
  int exit_status() const { return exit_status_; }

 private:
  int exit_status_;
};

// Bad usage: `place` is the option or argument at fault.
template <class... Args>
[[noreturn]] void bad_usage(const std::string& place, fmt::format_string<Args...> format,
                            Args&&... args) {
  throw Failure(2, "usage", place, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_with(Code code, const std::string& place, fmt::format_string<Args...> format,
                            Args&&... args) {
  throw Failure(1, to_string(code), place, fmt::format(format, std::forward<Args>(args)...));
}

// The value, or the error as a Failure.
template <class T>
T must(Result<T> result) {
  if (!result) throw Failure(result.error());
  return *std::move(result);
}
inline void must(const Status& status) {
  if (!status) throw Failure(status.error());
}

}  // namespace kedge::tools
