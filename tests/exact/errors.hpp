// Errors by code and words.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "exact/evaluate.hpp"

namespace kedge::tests {

// The error has this code, and all words stand in its text.
template <class T>
::testing::AssertionResult fails_with(const Result<T>& result, Code code,
                                      std::initializer_list<const char*> words) {
  if (result) return ::testing::AssertionFailure() << "no error";
  const std::string text = show(result.error());
  if (result.error().code != code)
    return ::testing::AssertionFailure() << "expected " << to_string(code) << ", found " << text;
  for (const char* word : words)
    if (text.find(word) == std::string::npos)
      return ::testing::AssertionFailure() << "\"" << word << "\" is not in: " << text;
  return ::testing::AssertionSuccess();
}

}  // namespace kedge::tests
