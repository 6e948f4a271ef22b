// operator new of this program, counted while a Meter lives: how much the largest request was, and
// optionally a refusal of the n-th one.
#pragma once

#include <cstddef>

namespace kedge_test {

class Meter {
 public:
  // Refuses the `fail_at`-th request (from 1; 0 refuses none) and every one above `limit` bytes.
  explicit Meter(std::size_t limit, std::size_t fail_at = 0) noexcept;
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  static std::size_t largest() noexcept;  // of the last Meter, refused requests included
  static std::size_t requests() noexcept;
  static bool refused() noexcept;
};

}  // namespace kedge_test
