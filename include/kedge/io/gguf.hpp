// GGUF, versions 2 and 3: metadata and tensor directory, read with every bound checked before
// anything is allocated. Tensor data stays in the Source until it is asked for. The writer is in
// gguf_writer.hpp. Facts of the format: ggml's GGUF documentation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kedge/core/tensor.hpp"
#include "kedge/io/source.hpp"

namespace kedge::inline KEDGE_ABI::io {

struct GgufArray;
// One metadata value. Integers are widened to 64 bits, floats to double; `type` keeps the original.
// Held: uint64_t for u8 u16 u32 u64, int64_t for i8 i16 i32 i64, double for f32 f64.
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
  static constexpr int max_depth = 8;  // arrays within arrays that a file may have

  GgufValue::Type type = GgufValue::Type::u32;  // of the elements
  // One of these is used, by type: integers (u64 by its bits) and booleans, floats, strings,
  // arrays.
  std::vector<std::int64_t> integers;
  std::vector<double> floats;
  std::vector<std::string> strings;
  std::vector<GgufArray> arrays;

  std::size_t size() const noexcept {
    return integers.size() + floats.size() + strings.size() + arrays.size();
  }
};

// "u32", "string", ...; "unknown" for a number that is no type.
KEDGE_API const char* to_string(GgufValue::Type type) noexcept;

// What is known of a ggml tensor type. Bytes are known for more types than Kedge computes with, so
// that any file can be listed and checked.
struct GgmlType {
  const char* name = "unknown";
  std::uint32_t block = 0;  // values per block, 0 when the type is unknown
  std::uint32_t bytes = 0;  // bytes per block
  bool supported = false;   // whether `element` says what it is
  Element element = Element::f32;
};
KEDGE_API GgmlType ggml_type(std::uint32_t number) noexcept;

struct GgufTensor {
  std::string name;
  std::uint32_t type = 0;                 // ggml's type number
  bool supported = false;                 // whether `element` says what it is
  Element element = Element::f32;         // when supported
  std::uint8_t rank = 0;                  // 1..4
  std::int64_t extent[4] = {1, 1, 1, 1};  // outermost first, as in Tensor (GGUF stores the reverse)
  std::uint64_t offset = 0;               // from the start of the file
  std::uint64_t bytes = 0;                // 0 when the type is unknown
};

class KEDGE_API Gguf {
 public:
  // Takes the source over. Errors: malformed (the file lies or ends early: every truncation that
  // touches metadata or data), unsupported (other versions, big-endian), io, out_of_memory.
  static Result<Gguf> open(Source source) noexcept;
  static Result<Gguf> open(const char* path) noexcept;

  const Source& source() const noexcept { return source_; }
  std::uint32_t version() const noexcept { return version_; }
  std::uint64_t alignment() const noexcept { return alignment_; }  // of tensor offsets
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

  // The bytes of one of this file's tensors, borrowed when the source is in memory or mapped.
  Result<TensorBytes> read(const GgufTensor& tensor,
                           const Allocator& allocator = default_allocator()) const noexcept;

 private:
  friend class GgufReader;
  Gguf() noexcept = default;

  Source source_;
  std::uint32_t version_ = 0;
  std::uint64_t alignment_ = 32;
  std::vector<std::pair<std::string, GgufValue>> metadata_;  // in file order
  std::vector<GgufTensor> tensors_;                          // in file order
  std::vector<std::uint32_t> by_key_, by_name_;              // indices in ascending order of name
};

// The tensor as a view of `bytes`, which must outlive it; an error for an unsupported type.
KEDGE_API Result<Tensor> as_tensor(const GgufTensor& tensor, const TensorBytes& bytes) noexcept;

}  // namespace kedge::inline KEDGE_ABI::io
