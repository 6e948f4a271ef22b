// GgufWriter: collects metadata and tensors, then writes a GGUF version 3 file in one go. Its bytes
// equal those of the `gguf` Python package for the same content (tests/golden/formats).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kedge/io/gguf.hpp"
#include "kedge/io/sink.hpp"

namespace kedge::inline KEDGE_ABI::io {

class KEDGE_API GgufWriter {
 public:
  // Metadata, in the order of the calls. Errors: invalid_argument for an empty or repeated key, and
  // for a value that its type cannot hold. `general.alignment` (u32, a power of two) sets the
  // alignment of tensor data; without it 32.
  Status add_unsigned(std::string_view key, std::uint64_t value,
                      GgufValue::Type type = GgufValue::Type::u32) noexcept;
  Status add_signed(std::string_view key, std::int64_t value,
                    GgufValue::Type type = GgufValue::Type::i32) noexcept;
  Status add_float(std::string_view key, double value,
                   GgufValue::Type type = GgufValue::Type::f32) noexcept;
  Status add_boolean(std::string_view key, bool value) noexcept;
  Status add_string(std::string_view key, std::string_view value) noexcept;
  Status add_array(std::string_view key, const GgufArray& value) noexcept;
  Status add(std::string_view key, const GgufValue& value) noexcept;  // e.g. from another file

  // The bytes of `tensor` must stay alive until write(). Rank 1 to 4, row-major, rows of whole
  // blocks, an element that the format has.
  Status add_tensor(std::string_view name, const Tensor& tensor) noexcept;

  // May be called more than once. The overload for `sink` also calls finish().
  Status write(const char* path) const noexcept;
  Status write(std::vector<std::byte>& bytes) const noexcept;  // appends
  Status write(Sink sink) const noexcept;

 private:
  std::vector<std::pair<std::string, GgufValue>> metadata_;
  std::vector<std::pair<std::string, Tensor>> tensors_;
  std::uint64_t alignment_ = 32;
};

}  // namespace kedge::inline KEDGE_ABI::io
