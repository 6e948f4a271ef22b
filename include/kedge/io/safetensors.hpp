// safetensors: reader and writer. A file is a 64-bit length, a JSON header of that length, and the
// tensors' bytes without gaps. Everything the header claims is checked before data is touched.
// Facts of the format: the safetensors README.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kedge/core/tensor.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"

namespace kedge::inline KEDGE_ABI::io {

enum class SafeType : std::uint8_t { f32, f16, bf16, i32, i64, i8, u8, boolean };
KEDGE_API const char* to_string(SafeType type) noexcept;  // "F32", "BOOL", ...
KEDGE_API std::size_t bytes_per_value(SafeType type) noexcept;

struct SafeTensor {
  std::string name;
  SafeType type = SafeType::f32;
  std::vector<std::int64_t> shape;  // outermost first; empty for a scalar; extents may be 0
  std::uint64_t offset = 0;         // from the start of the file
  std::uint64_t bytes = 0;
};

class KEDGE_API Safetensors {
 public:
  // Takes the source over. Errors: malformed (the header lies, data has gaps, overlaps, or ends
  // early), unsupported (a dtype outside SafeType), io, out_of_memory.
  static Result<Safetensors> open(Source source) noexcept;
  static Result<Safetensors> open(const char* path) noexcept;

  const Source& source() const noexcept { return source_; }
  const std::vector<SafeTensor>& tensors() const noexcept { return tensors_; }  // in data order
  const std::vector<std::pair<std::string, std::string>>& metadata() const noexcept {
    return metadata_;
  }
  const SafeTensor* tensor(std::string_view name) const noexcept;  // null when absent

  // The bytes of one of this file's tensors, borrowed when the source is in memory or mapped.
  Result<TensorBytes> read(const SafeTensor& tensor,
                           const Allocator& allocator = default_allocator()) const noexcept;

 private:
  Safetensors() noexcept = default;
  static Result<Safetensors> parse(Source source);
  Source source_;
  std::vector<SafeTensor> tensors_;
  std::vector<std::uint32_t> by_name_;
  std::vector<std::pair<std::string, std::string>> metadata_;
};

// The tensor as a view of `bytes`, which must outlive it. A scalar becomes one row of one value.
// Errors: unsupported for a type without an Element (f32 f16 bf16 i32 have one) or rank above 4.
KEDGE_API Result<Tensor> as_tensor(const SafeTensor& tensor, const TensorBytes& bytes) noexcept;

class KEDGE_API SafetensorsWriter {
 public:
  // Text for the header's __metadata__. Errors: a repeated key.
  Status add_metadata(std::string_view key, std::string_view value) noexcept;
  // `bytes` must stay alive until write(). Errors: a repeated or reserved name, a size that
  // contradicts the shape.
  Status add_tensor(std::string_view name, SafeType type, std::span<const std::int64_t> shape,
                    std::span<const std::byte> bytes) noexcept;
  // The same for a row-major tensor of f32, f16, bf16 or i32.
  Status add_tensor(std::string_view name, const Tensor& tensor) noexcept;

  // The data will begin at a multiple of so many bytes, a multiple of 8; readers see spaces behind
  // the header. For files that are mapped and used as they lie there.
  void align_data(std::size_t bytes) noexcept { data_alignment_ = bytes; }

  // Widest types first, so that every tensor is aligned to its values.
  Status write(const char* path) const noexcept;
  Status write(std::vector<std::byte>& bytes) const noexcept;  // appends
  Status write(Sink sink) const noexcept;

 private:
  struct Entry {
    std::string name;
    SafeType type;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;
  };
  std::vector<Entry> tensors_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::size_t data_alignment_ = 8;
};

}  // namespace kedge::inline KEDGE_ABI::io
