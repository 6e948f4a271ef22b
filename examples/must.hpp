// For examples only: the value of a Result, or the end of the program with the error's text.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "kedge/core/result.hpp"

template <class T>
T must(kedge::Result<T> result) {
  if (!result) {
    const kedge::Error& error = result.error();
    std::fprintf(stderr, "%s: %s: %s\n", to_string(error.code), error.place, error.reason);
    std::exit(1);
  }
  return *std::move(result);
}

inline void must(kedge::Status status) {
  if (status) return;
  std::fprintf(stderr, "%s: %s: %s\n", to_string(status.error().code), status.error().place,
               status.error().reason);
  std::exit(1);
}
