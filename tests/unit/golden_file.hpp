// A tensor of a safetensors file as values; empty where it is missing or cannot be read.
#pragma once

#include <cstring>
#include <vector>

#include "kedge/io/safetensors.hpp"

namespace kedge_test {

template <class T>
std::vector<T> values(const kedge::io::Safetensors& file, const char* name) {
  const kedge::io::SafeTensor* entry = file.tensor(name);
  if (entry == nullptr) return {};
  auto bytes = file.read(*entry);
  if (!bytes) return {};
  std::vector<T> result(bytes->size / sizeof(T));
  std::memcpy(result.data(), bytes->data, bytes->size);
  return result;
}

// Of logits, against the largest of a row.
constexpr double golden_tolerance = 1e-4;

}  // namespace kedge_test
