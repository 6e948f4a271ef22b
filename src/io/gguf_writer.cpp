#include "kedge/io/gguf_writer.hpp"

#include <bit>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <limits>

#include "io/guarded.hpp"
#include "io/shown.hpp"

namespace kedge::inline KEDGE_ABI::io {
namespace {

using Type = GgufValue::Type;

static_assert(std::endian::native == std::endian::little, "fields are copied, not byte-swapped");

std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) noexcept {
  return (value + alignment - 1) & ~(alignment - 1);
}

// The format's type number of an element, or a negative number.
int type_number(Element element) noexcept {
  for (std::uint32_t number = 0; number < 64; ++number)
    if (const GgmlType type = ggml_type(number); type.supported && type.element == element)
      return static_cast<int>(number);
  return -1;
}

// Appends fields to memory. Throws what std::string throws.
class Fields {
 public:
  template <class T>
  void put(T value) {
    append(&value, sizeof value);
  }
  void text(std::string_view value) {
    put<std::uint64_t>(value.size());
    append(value.data(), value.size());
  }
  std::span<const std::byte> bytes() const noexcept { return std::as_bytes(std::span(bytes_)); }

  // Integers are kept by their low bits, which is what a narrower type of either sign stores.
  void integer(Type type, std::uint64_t bits) {
    switch (type) {
      case Type::u8:
      case Type::i8:
      case Type::boolean:
        put(static_cast<std::uint8_t>(bits));
        break;
      case Type::u16:
      case Type::i16:
        put(static_cast<std::uint16_t>(bits));
        break;
      case Type::u32:
      case Type::i32:
        put(static_cast<std::uint32_t>(bits));
        break;
      default:
        put(bits);
        break;
    }
  }
  void real(Type type, double value) {
    if (type == Type::f32) put(static_cast<float>(value));
    else put(value);
  }
  void array(const GgufArray& value) {
    put(static_cast<std::uint32_t>(value.type));
    put<std::uint64_t>(value.size());
    for (const std::int64_t x : value.integers) integer(value.type, static_cast<std::uint64_t>(x));
    for (const double x : value.floats) real(value.type, x);
    for (const std::string& x : value.strings) text(x);
    for (const GgufArray& x : value.arrays) array(x);
  }
  void value(const GgufValue& value) {
    put(static_cast<std::uint32_t>(value.type));
    if (const auto* u = std::get_if<std::uint64_t>(&value.value)) integer(value.type, *u);
    else if (const auto* i = std::get_if<std::int64_t>(&value.value))
      integer(value.type, static_cast<std::uint64_t>(*i));
    else if (const auto* d = std::get_if<double>(&value.value)) real(value.type, *d);
    else if (const auto* b = std::get_if<bool>(&value.value)) put(static_cast<std::uint8_t>(*b));
    else if (const auto* s = std::get_if<std::string>(&value.value)) text(*s);
    else if (const auto* a = std::get_if<std::shared_ptr<const GgufArray>>(&value.value))
      array(**a);
  }

 private:
  void append(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
  }
  std::string bytes_;
};

struct Range {
  std::int64_t low;
  std::uint64_t high;
};
Range range_of(Type type) noexcept {
  const auto of = []<class T>(T) {
    return Range{static_cast<std::int64_t>(std::numeric_limits<T>::min()),
                 static_cast<std::uint64_t>(std::numeric_limits<T>::max())};
  };
  switch (type) {
    case Type::u8:
      return of(std::uint8_t{});
    case Type::i8:
      return of(std::int8_t{});
    case Type::u16:
      return of(std::uint16_t{});
    case Type::i16:
      return of(std::int16_t{});
    case Type::u32:
      return of(std::uint32_t{});
    case Type::i32:
      return of(std::int32_t{});
    case Type::i64:
      return of(std::int64_t{});
    case Type::boolean:
      return {0, 1};
    default:
      return of(std::uint64_t{});
  }
}
bool is_unsigned(Type type) noexcept {
  return type == Type::u8 || type == Type::u16 || type == Type::u32 || type == Type::u64;
}
bool is_signed(Type type) noexcept {
  return type == Type::i8 || type == Type::i16 || type == Type::i32 || type == Type::i64;
}
bool is_float(Type type) noexcept { return type == Type::f32 || type == Type::f64; }

Status check_signed(const char* key, Type type, std::int64_t value) noexcept {
  const Range range = range_of(type);
  if (value >= range.low && (value < 0 || static_cast<std::uint64_t>(value) <= range.high))
    return {};
  return fail(Code::invalid_argument, key, "%" PRId64 " does not fit %s", value, to_string(type));
}
Status check_unsigned(const char* key, Type type, std::uint64_t value) noexcept {
  if (value <= range_of(type).high) return {};
  return fail(Code::invalid_argument, key, "%" PRIu64 " does not fit %s", value, to_string(type));
}
Status check_float(const char* key, Type type, double value) noexcept {
  // Beyond half a unit past FLT_MAX rounding gives infinity.
  if (type == Type::f64 || !std::isfinite(value) || std::isfinite(static_cast<float>(value)))
    return {};
  return fail(Code::invalid_argument, key, "%g does not fit f32", value);
}

Status check_array(const char* key, const GgufArray& array, int depth) noexcept {
  const Type type = array.type;
  if (depth > GgufArray::max_depth)
    return fail(Code::invalid_argument, key, "arrays are nested deeper than %d",
                GgufArray::max_depth);
  const std::size_t used = is_float(type)         ? array.floats.size()
                           : type == Type::string ? array.strings.size()
                           : type == Type::array  ? array.arrays.size()
                           : type <= Type::f64    ? array.integers.size()
                                                  : 0;
  if (used != array.size() || type > Type::f64)
    return fail(Code::invalid_argument, key,
                "expected all elements in the member for %s, found %zu of %zu there",
                to_string(type), used, array.size());
  if (type != Type::u64)
    for (const std::int64_t x : array.integers) KEDGE_CHECK(check_signed(key, type, x));
  for (const double x : array.floats) KEDGE_CHECK(check_float(key, type, x));
  for (const GgufArray& x : array.arrays) KEDGE_CHECK(check_array(key, x, depth + 1));
  return {};
}

// The variant must hold what the type says, in its range.
Status check_value(const char* key, const GgufValue& value) noexcept {
  const Type type = value.type;
  if (const auto* u = std::get_if<std::uint64_t>(&value.value); u && is_unsigned(type))
    return check_unsigned(key, type, *u);
  if (const auto* i = std::get_if<std::int64_t>(&value.value); i && is_signed(type))
    return check_signed(key, type, *i);
  if (const auto* d = std::get_if<double>(&value.value); d && is_float(type))
    return check_float(key, type, *d);
  if (std::holds_alternative<bool>(value.value) && type == Type::boolean) return {};
  if (std::holds_alternative<std::string>(value.value) && type == Type::string) return {};
  if (const auto* a = std::get_if<std::shared_ptr<const GgufArray>>(&value.value);
      a && *a && type == Type::array)
    return check_array(key, **a, 1);
  return fail(Code::invalid_argument, key, "the value held is not of its type, %s",
              to_string(type));
}

Status check_name(const char* shown, std::string_view name) noexcept {
  if (name.empty()) return fail(Code::invalid_argument, "name", "expected a name, found none");
  if (name.size() > 65535)
    return fail(Code::invalid_argument, shown, "expected a name of at most 65535 bytes, found %zu",
                name.size());
  return {};
}

template <class Entries>
bool contains(const Entries& entries, std::string_view name) noexcept {
  for (const auto& entry : entries)
    if (entry.first == name) return true;
  return false;
}

// Element by element: copying vectors whole would leave a `throw;` of theirs in the library.
GgufArray copy_of(const GgufArray& array) {
  GgufArray copy;
  copy.type = array.type;
  copy.integers = array.integers;
  copy.floats = array.floats;
  for (const std::string& text : array.strings) copy.strings.push_back(std::string(text));
  for (const GgufArray& inner : array.arrays) copy.arrays.push_back(copy_of(inner));
  return copy;
}

template <class Value>
GgufValue holding(Type type, Value value) {
  GgufValue result;
  result.type = type;
  result.value = std::move(value);
  return result;
}

}  // namespace

Status GgufWriter::add(std::string_view key, const GgufValue& value) noexcept {
  const Shown shown(key);
  KEDGE_CHECK(check_name(shown.text(), key));
  KEDGE_CHECK(check_value(shown.text(), value));
  if (contains(metadata_, key))
    return fail(Code::invalid_argument, shown.text(), "the key is there already");
  std::uint64_t alignment = alignment_;
  if (key == "general.alignment") {
    const auto* found = std::get_if<std::uint64_t>(&value.value);
    if (value.type != Type::u32 || found == nullptr || !std::has_single_bit(*found))
      return fail(Code::invalid_argument, shown.text(), "expected a u32 that is a power of two");
    alignment = *found;
  }
  KEDGE_CHECK(guarded(shown.text(), [&]() -> Status {
    std::pair<std::string, GgufValue> entry(key, value);
    metadata_.push_back(std::move(entry));
    return {};
  }));
  alignment_ = alignment;
  return {};
}

Status GgufWriter::add_unsigned(std::string_view key, std::uint64_t value, Type type) noexcept {
  return add(key, holding(type, value));
}
Status GgufWriter::add_signed(std::string_view key, std::int64_t value, Type type) noexcept {
  return add(key, holding(type, value));
}
Status GgufWriter::add_float(std::string_view key, double value, Type type) noexcept {
  return add(key, holding(type, value));
}
Status GgufWriter::add_boolean(std::string_view key, bool value) noexcept {
  return add(key, holding(Type::boolean, value));
}
Status GgufWriter::add_string(std::string_view key, std::string_view value) noexcept {
  return guarded(Shown(key).text(),
                 [&] { return add(key, holding(Type::string, std::string(value))); });
}
Status GgufWriter::add_array(std::string_view key, const GgufArray& value) noexcept {
  // Checked before it is copied: a copy of arrays nested without end would end the stack.
  KEDGE_CHECK(check_array(Shown(key).text(), value, 1));
  return guarded(Shown(key).text(), [&] {
    return add(key, holding(Type::array, std::make_shared<const GgufArray>(copy_of(value))));
  });
}

Status GgufWriter::add_tensor(std::string_view name, const Tensor& tensor) noexcept {
  const Shown shown(name);
  KEDGE_CHECK(check_name(shown.text(), name));
  if (contains(tensors_, name))
    return fail(Code::invalid_argument, shown.text(), "the tensor is there already");
  if (type_number(tensor.element) < 0)
    return fail(Code::unsupported, shown.text(), "the format has no type for %s",
                to_string(tensor.element));
  if (tensor.layout != Layout::row_major)
    return fail(Code::invalid_argument, shown.text(), "expected row-major data, found panels");
  if (tensor.rank < 1 || tensor.rank > Tensor::max_rank || tensor.data == nullptr)
    return fail(Code::invalid_argument, shown.text(),
                "expected rank 1 to 4 and data, found rank %d%s", tensor.rank,
                tensor.data == nullptr ? " and no data" : "");
  const ElementTraits element = traits(tensor.element);
  std::uint64_t bytes = element.bytes;
  for (int i = 0; i < tensor.rank; ++i) {
    const std::int64_t extent = tensor.extent[i];
    if (extent < 1 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes))
      return fail(Code::invalid_argument, shown.text(),
                  "expected extents of 1 or more with a product below 2^63, found %" PRId64,
                  extent);
  }
  if (tensor.width() % element.block != 0)
    return fail(Code::invalid_argument, shown.text(),
                "expected rows of a multiple of %u values (%s), found %" PRId64, element.block,
                element.name, tensor.width());
  return guarded(shown.text(), [&]() -> Status {
    tensors_.emplace_back(std::string(name), tensor);
    return {};
  });
}

Status GgufWriter::write(Sink sink) const noexcept {
  return guarded("writing GGUF", [&]() -> Status {
    Fields fields;
    fields.put<std::uint32_t>(0x46554747);  // "GGUF"
    fields.put<std::uint32_t>(3);
    fields.put<std::uint64_t>(tensors_.size());
    fields.put<std::uint64_t>(metadata_.size());
    for (const auto& [key, value] : metadata_) {
      fields.text(key);
      fields.value(value);
    }
    std::uint64_t offset = 0;
    for (const auto& [name, tensor] : tensors_) {
      fields.text(name);
      fields.put<std::uint32_t>(tensor.rank);
      for (int i = tensor.rank; i-- > 0;) fields.put(static_cast<std::uint64_t>(tensor.extent[i]));
      fields.put(static_cast<std::uint32_t>(type_number(tensor.element)));
      fields.put(offset);
      offset = align_up(offset + tensor.bytes(), alignment_);
    }
    const std::uint64_t size = fields.bytes().size();
    KEDGE_CHECK(sink.write(fields.bytes()));
    // Padding also follows the last tensor: ggml reads data in whole alignments.
    KEDGE_CHECK(sink.pad(align_up(size, alignment_) - size));
    for (const auto& [name, tensor] : tensors_) {
      KEDGE_CHECK(sink.write({tensor.data, tensor.bytes()}));
      KEDGE_CHECK(sink.pad(align_up(tensor.bytes(), alignment_) - tensor.bytes()));
    }
    return sink.finish();
  });
}

Status GgufWriter::write(const char* path) const noexcept {
  KEDGE_TRY(Sink sink, Sink::create(path));
  return write(std::move(sink));
}
Status GgufWriter::write(std::vector<std::byte>& bytes) const noexcept {
  return write(Sink::memory(bytes));
}

}  // namespace kedge::inline KEDGE_ABI::io
