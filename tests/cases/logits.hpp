// Rows that are hard for a search: used by argmax and top_k.
#pragma once

#include <limits>

#include "cases/case.hpp"

namespace kedge::cases {

struct LogitsCase {
  const char* name;
  // Makes entry i of `width` special; r is the row.
  float (*edit)(float value, std::int64_t r, std::int64_t i, std::int64_t width);
};

inline const std::vector<LogitsCase>& logits_cases() {
  static constexpr float infinity = std::numeric_limits<float>::infinity();
  static const std::vector<LogitsCase> list = {
      {"random", [](float v, std::int64_t, std::int64_t, std::int64_t) { return v; }},
      // A few distinct values: nearly every comparison is a tie.
      {"ties",
       [](float v, std::int64_t, std::int64_t, std::int64_t) {
         return v > 1 ? 1.0f : v > 0 ? 0.0f : v > -1 ? -0.0f : -1.0f;
       }},
      {"all equal", [](float, std::int64_t r, std::int64_t, std::int64_t) { return float(r); }},
      {"all -infinity", [](float, std::int64_t, std::int64_t, std::int64_t) { return -infinity; }},
      {"negative", [](float v, std::int64_t, std::int64_t, std::int64_t) { return -1.0f - v * v; }},
      // The largest value twice, once in the last entry.
      {"largest last",
       [](float v, std::int64_t r, std::int64_t i, std::int64_t width) {
         return i == width - 1 || i == width - 1 - r % width ? infinity : v;
       }},
      {"ascending",
       [](float, std::int64_t, std::int64_t i, std::int64_t) { return float(i) - 700.0f; }},
      // Even rows hold one NaN, of either sign, somewhere.
      {"NaN",
       [](float v, std::int64_t r, std::int64_t i, std::int64_t width) {
         if (r % 2 != 0 || i != (r * 7919 + width - 1) % width) return v;
         const float nan = std::numeric_limits<float>::quiet_NaN();
         return r % 4 == 0 ? nan : -nan;
       }},
  };
  return list;
}

inline Tensor make_logits(const LogitsCase& c, Workspace& w, std::int64_t rows, int width) {
  Tensor x = w.random(1, 4.0f, rows, width);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < width; ++i)
      x.row<float>(r)[i] = c.edit(x.row<float>(r)[i], r, i, width);
  return x;
}

}  // namespace kedge::cases
