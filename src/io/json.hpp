// The one door for JSON: parses without throwing, checks types on access, limits depth and size,
// and refuses repeated names. Private to the compiled library; nlohmann-json stays in
// json_parse.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::io {

class KEDGE_API Json {
 public:
  enum class Type : std::uint8_t { null, boolean, integer, real, string, array, object };
  struct Limits {
    std::size_t bytes = std::size_t{100} << 20;  // of text
    int depth = 32;                              // objects and arrays within each other
    std::size_t values = std::size_t{1} << 24;   // in all
  };
  using Member = std::pair<std::string, Json>;

  // Errors (malformed) have `place` and say where in the text; throws what std containers throw.
  static Result<Json> parse(std::string_view text, const char* place, const Limits& limits);

  Type type() const noexcept { return type_; }
  const char* type_name() const noexcept;
  bool is(Type type) const noexcept { return type_ == type; }

  // Elements of an array and members of an object, in the text's order; empty for other types.
  const std::vector<Json>& items() const noexcept { return items_; }
  const std::vector<Member>& members() const noexcept { return members_; }
  const Json* find(std::string_view name) const noexcept;  // null when absent or not an object

  // Typed access; `place` and `what` ("tensor 'x': dtype") go into the error.
  Result<std::uint64_t> uint(const char* place, const char* what) const noexcept;
  Result<double> number(const char* place, const char* what) const noexcept;  // integer or real
  Result<bool> boolean(const char* place, const char* what) const noexcept;
  Result<std::string_view> string(const char* place, const char* what) const noexcept;

 private:
  friend class JsonBuilder;
  Type type_ = Type::null;
  bool negative_ = false;     // of an integer: number_ is its bits as int64
  std::uint64_t number_ = 0;  // integer or boolean
  double real_ = 0;
  std::string text_;
  std::vector<Json> items_;
  std::vector<Member> members_;
};

// `text` as a JSON string with its quotes; an error (invalid_argument) when it is not UTF-8. Throws
// what std::string throws.
Result<std::string> json_quoted(std::string_view text, const char* place);

}  // namespace kedge::inline KEDGE_ABI::io
