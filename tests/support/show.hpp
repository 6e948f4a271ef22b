// An error in a test's message.
#pragma once

#include <string>

#include "kedge/core/result.hpp"

namespace kedge::tests {

inline std::string show(const Error& error) {
  return std::string(to_string(error.code)) + ": " + error.place + ": " + error.reason;
}

}  // namespace kedge::tests
