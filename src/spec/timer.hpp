// Milliseconds between two places of a program.
#pragma once

#include <chrono>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::spec {

class Timer {
 public:
  double lap_ms() noexcept {
    const auto now = std::chrono::steady_clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
    return ms;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace kedge::inline KEDGE_ABI::spec
