// GgufReader: parses one file into a Gguf. Its functions throw what std containers throw;
// Gguf::open turns that into an Error. Private to the compiled library.
#pragma once

#include "io/cursor.hpp"
#include "kedge/io/gguf.hpp"

namespace kedge::inline KEDGE_ABI::io {

class GgufReader {
 public:
  static Result<Gguf> read(Source source) {
    Gguf file;
    file.source_ = std::move(source);
    KEDGE_CHECK(GgufReader(file).run());
    return file;
  }

 private:
  explicit GgufReader(Gguf& file) noexcept : file_(file), cursor_(file.source_) {}

  Status run();
  Status header();
  Status metadata();
  Status alignment();
  Status tensors();
  Status place_tensors();  // offsets become absolute and are checked
  Result<GgufValue::Type> type();
  Result<GgufValue> value(GgufValue::Type type);
  Result<GgufArray> array(int depth);
  template <class Stored, class Kept>
  Status numbers(std::uint64_t count, std::vector<Kept>& out);
  Result<GgufTensor> tensor();
  // Fills `order` with ascending names' indices; an error when two are equal.
  template <class Entries, class Name>
  Status sort_names(const char* kind, const Entries& entries, Name name,
                    std::vector<std::uint32_t>& order);

  Gguf& file_;
  Cursor cursor_;
  std::uint64_t tensor_count_ = 0, key_count_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI::io
