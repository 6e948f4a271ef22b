// GGUF, versions 2 and 3: metadata and tensor directory, read with every bound checked before
// anything is allocated, and a writer. Tensor data stays in the Source.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kedge/core/tensor.hpp"
#include "kedge/io/source.hpp"

namespace kedge::inline KEDGE_ABI::io {

struct GgufArray;
// Every metadata type of the format. Integers are widened to 64 bits, `type` keeps the original.
struct GgufValue {
  enum class Type : std::uint32_t {
    u8,
    i8,
    u16,
    i16,
    u32,
    i32,
    f32,
    boolean,
    string,
    array,
    u64,
    i64,
    f64
  };
  Type type = Type::u32;
  std::variant<std::uint64_t, std::int64_t, double, bool, std::string,
               std::shared_ptr<const GgufArray>>
      value;
};
struct GgufArray {
  GgufValue::Type type = GgufValue::Type::u32;
  // One of these is used, by type: integers and booleans, floats, strings, nested arrays.
  std::vector<std::int64_t> integers;
  std::vector<double> floats;
  std::vector<std::string> strings;
  std::vector<GgufArray> arrays;
  std::size_t size() const noexcept;
};

struct GgufTensor {
  std::string name;
  std::uint32_t type = 0;          // ggml's type number
  bool supported = false;          // whether `element` says what it is
  Element element = Element::f32;  // when supported
  std::uint8_t rank = 0;
  std::int64_t extent[4] = {1, 1, 1, 1};  // outermost first, as in Tensor (GGUF stores the reverse)
  std::uint64_t offset = 0;               // from the start of the file
  std::uint64_t bytes = 0;                // 0 when not supported
};

class KEDGE_API Gguf {
 public:
  static Result<Gguf> open(Source source) noexcept;

  const Source& source() const noexcept { return source_; }
  std::uint32_t version() const noexcept { return version_; }
  const std::vector<std::pair<std::string, GgufValue>>& metadata() const noexcept {
    return metadata_;
  }
  const std::vector<GgufTensor>& tensors() const noexcept { return tensors_; }

  const GgufValue* find(std::string_view key) const noexcept;      // null when absent
  const GgufTensor* tensor(std::string_view name) const noexcept;  // null when absent

  // Typed access: not_found when absent, malformed (naming key, expected and found type) otherwise.
  Result<std::uint64_t> uint(std::string_view key) const noexcept;  // any integer type, >= 0
  Result<double> number(std::string_view key) const noexcept;       // any integer or float type
  Result<bool> boolean(std::string_view key) const noexcept;
  Result<std::string_view> string(std::string_view key) const noexcept;
  Result<const GgufArray*> array(std::string_view key) const noexcept;

 private:
  Source source_;
  std::uint32_t version_ = 0;
  std::vector<std::pair<std::string, GgufValue>> metadata_;  // in file order
  std::vector<GgufTensor> tensors_;
};

}  // namespace kedge::inline KEDGE_ABI::io
