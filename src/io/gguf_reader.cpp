#include "io/gguf_reader.hpp"

#include <numeric>

namespace kedge::inline KEDGE_ABI::io {
namespace {

using Type = GgufValue::Type;

constexpr std::uint64_t longest_name = 65535;  // the format's limit for keys
// The least that each thing takes in a file; counts are held against these.
constexpr std::uint64_t least_key = 8 + 1 + 4 + 1;              // name, type, value
constexpr std::uint64_t least_tensor = 8 + 1 + 4 + 8 + 4 + 8;   // name, rank, extent, type, offset
constexpr std::uint64_t least_string = 8, least_array = 4 + 8;  // length; type and count

unsigned long long wide(std::uint64_t value) noexcept { return value; }

std::uint64_t least_bytes(Type type) noexcept {
  switch (type) {
    case Type::u8:
    case Type::i8:
    case Type::boolean:
      return 1;
    case Type::u16:
    case Type::i16:
      return 2;
    case Type::u32:
    case Type::i32:
    case Type::f32:
      return 4;
    case Type::string:
      return least_string;
    case Type::array:
      return least_array;
    default:
      return 8;
  }
}

}  // namespace

Status GgufReader::run() {
  if (file_.source_.size() == 0) return fail(Code::malformed, cursor_.file(), "the file is empty");
  KEDGE_CHECK(header());
  KEDGE_CHECK(metadata());
  KEDGE_CHECK(alignment());
  KEDGE_CHECK(tensors());
  return place_tensors();
}

Status GgufReader::header() {
  KEDGE_TRY(const std::byte* magic, cursor_.take(4));
  if (std::memcmp(magic, "GGUF", 4) != 0)
    return fail(Code::malformed, cursor_.file(),
                "expected the magic 'GGUF', found the bytes %02x %02x %02x %02x",
                unsigned(magic[0]), unsigned(magic[1]), unsigned(magic[2]), unsigned(magic[3]));
  KEDGE_TRY(file_.version_, cursor_.value<std::uint32_t>());
  if (file_.version_ != 0 && (file_.version_ & 0xFFFFu) == 0)
    return fail(Code::unsupported, cursor_.file(),
                "expected a little-endian file, found a big-endian one (version field %08x)",
                file_.version_);
  if (file_.version_ != 2 && file_.version_ != 3)
    return fail(Code::unsupported, cursor_.file(), "expected GGUF version 2 or 3, found %u",
                file_.version_);
  KEDGE_TRY(tensor_count_, cursor_.count("tensors", least_tensor));
  KEDGE_TRY(key_count_, cursor_.count("keys", least_key));
  // Both counts fit alone; they must fit together as well.
  if (tensor_count_ * least_tensor > cursor_.left() - key_count_ * least_key)
    return fail(Code::malformed, cursor_.file(),
                "header: expected %llu tensors and %llu keys to take at most the %llu bytes left",
                wide(tensor_count_), wide(key_count_), wide(cursor_.left()));
  // Names are indexed with 32 bits.
  if (tensor_count_ > 0xFFFFFFFFu || key_count_ > 0xFFFFFFFFu)
    return fail(Code::unsupported, cursor_.file(),
                "header: expected at most 2^32-1 tensors and keys, found %llu and %llu",
                wide(tensor_count_), wide(key_count_));
  return {};
}

Status GgufReader::metadata() {
  for (std::uint64_t i = 0; i < key_count_; ++i) {
    char number[40];
    std::snprintf(number, sizeof number, "name of key %llu", wide(i));
    cursor_.subject(number);
    KEDGE_TRY(std::string key, cursor_.string(longest_name));
    if (key.empty())
      return fail(Code::malformed, cursor_.file(), "%s: expected a name, found none", number);
    cursor_.subject("key", key);
    KEDGE_TRY(const Type kind, type());
    KEDGE_TRY(GgufValue found, value(kind));
    file_.metadata_.emplace_back(std::move(key), std::move(found));
  }
  return sort_names(
      "key", file_.metadata_, [](const auto& entry) { return std::string_view(entry.first); },
      file_.by_key_);
}

Result<Type> GgufReader::type() {
  KEDGE_TRY(const std::uint32_t number, cursor_.value<std::uint32_t>());
  if (number > static_cast<std::uint32_t>(Type::f64))
    return fail(Code::malformed, cursor_.file(), "%s: expected a value type of 0 to 12, found %u",
                cursor_.subject(), number);
  return static_cast<Type>(number);
}

Result<GgufValue> GgufReader::value(Type kind) {
  GgufValue result;
  result.type = kind;
  const auto scalar = [&]<class Stored, class Kept>(Stored, Kept) -> Status {
    KEDGE_TRY(const Stored stored, cursor_.value<Stored>());
    result.value = static_cast<Kept>(stored);
    return {};
  };
  constexpr auto u = std::uint64_t{};
  constexpr auto i = std::int64_t{};
  switch (kind) {
    case Type::u8:
      KEDGE_CHECK(scalar(std::uint8_t{}, u));
      break;
    case Type::i8:
      KEDGE_CHECK(scalar(std::int8_t{}, i));
      break;
    case Type::u16:
      KEDGE_CHECK(scalar(std::uint16_t{}, u));
      break;
    case Type::i16:
      KEDGE_CHECK(scalar(std::int16_t{}, i));
      break;
    case Type::u32:
      KEDGE_CHECK(scalar(std::uint32_t{}, u));
      break;
    case Type::i32:
      KEDGE_CHECK(scalar(std::int32_t{}, i));
      break;
    case Type::u64:
      KEDGE_CHECK(scalar(std::uint64_t{}, u));
      break;
    case Type::i64:
      KEDGE_CHECK(scalar(std::int64_t{}, i));
      break;
    case Type::f32:
      KEDGE_CHECK(scalar(float{}, double{}));
      break;
    case Type::f64:
      KEDGE_CHECK(scalar(double{}, double{}));
      break;
    case Type::boolean: {
      KEDGE_TRY(const std::uint8_t byte, cursor_.value<std::uint8_t>());
      if (byte > 1)
        return fail(Code::malformed, cursor_.file(), "%s: expected a boolean of 0 or 1, found %u",
                    cursor_.subject(), byte);
      result.value = byte == 1;
      break;
    }
    case Type::string: {
      KEDGE_TRY(result.value, cursor_.string(~std::uint64_t{0}));
      break;
    }
    case Type::array: {
      KEDGE_TRY(GgufArray elements, array(1));
      result.value = std::make_shared<const GgufArray>(std::move(elements));
      break;
    }
  }
  return result;
}

// Elements are appended as their bytes arrive: memory follows the bytes read, never a count alone.
template <class Stored, class Kept>
Status GgufReader::numbers(std::uint64_t count, std::vector<Kept>& out) {
  constexpr std::uint64_t chunk = Cursor::chunk_bytes / sizeof(Stored);
  while (count != 0) {
    const auto part = static_cast<std::size_t>(std::min(count, chunk));
    KEDGE_TRY(const std::byte* bytes, cursor_.take(part * sizeof(Stored)));
    if (out.empty()) out.reserve(part);
    for (std::size_t k = 0; k < part; ++k) {
      Stored stored;
      std::memcpy(&stored, bytes + k * sizeof(Stored), sizeof(Stored));
      out.push_back(static_cast<Kept>(stored));
    }
    count -= part;
  }
  return {};
}

Result<GgufArray> GgufReader::array(int depth) {
  if (depth > GgufArray::max_depth)
    return fail(Code::malformed, cursor_.file(),
                "%s: expected arrays nested at most %d deep, found more", cursor_.subject(),
                GgufArray::max_depth);
  GgufArray result;
  KEDGE_TRY(result.type, type());
  KEDGE_TRY(const std::uint64_t count, cursor_.count("array elements", least_bytes(result.type)));
  switch (result.type) {
    case Type::u8:
      KEDGE_CHECK(numbers<std::uint8_t>(count, result.integers));
      break;
    case Type::i8:
      KEDGE_CHECK(numbers<std::int8_t>(count, result.integers));
      break;
    case Type::u16:
      KEDGE_CHECK(numbers<std::uint16_t>(count, result.integers));
      break;
    case Type::i16:
      KEDGE_CHECK(numbers<std::int16_t>(count, result.integers));
      break;
    case Type::u32:
      KEDGE_CHECK(numbers<std::uint32_t>(count, result.integers));
      break;
    case Type::i32:
      KEDGE_CHECK(numbers<std::int32_t>(count, result.integers));
      break;
    case Type::u64:
      KEDGE_CHECK(numbers<std::uint64_t>(count, result.integers));
      break;
    case Type::i64:
      KEDGE_CHECK(numbers<std::int64_t>(count, result.integers));
      break;
    case Type::f32:
      KEDGE_CHECK(numbers<float>(count, result.floats));
      break;
    case Type::f64:
      KEDGE_CHECK(numbers<double>(count, result.floats));
      break;
    case Type::boolean:
      KEDGE_CHECK(numbers<std::uint8_t>(count, result.integers));
      for (const std::int64_t byte : result.integers)
        if (byte > 1)
          return fail(Code::malformed, cursor_.file(), "%s: expected booleans of 0 or 1, found %d",
                      cursor_.subject(), static_cast<int>(byte));
      break;
    case Type::string:
      for (std::uint64_t k = 0; k < count; ++k) {
        KEDGE_TRY(std::string text, cursor_.string(~std::uint64_t{0}));
        result.strings.push_back(std::move(text));
      }
      break;
    case Type::array:
      for (std::uint64_t k = 0; k < count; ++k) {
        KEDGE_TRY(GgufArray inner, array(depth + 1));
        result.arrays.push_back(std::move(inner));
      }
      break;
  }
  return result;
}

Status GgufReader::alignment() {
  const GgufValue* found = file_.find("general.alignment");
  if (found == nullptr) return {};  // the format's default, 32
  const auto* value = std::get_if<std::uint64_t>(&found->value);
  if (value == nullptr)
    return fail(Code::malformed, cursor_.file(),
                "key 'general.alignment': expected an unsigned integer, found %s",
                to_string(found->type));
  if (!std::has_single_bit(*value))
    return fail(Code::malformed, cursor_.file(),
                "key 'general.alignment': expected a power of two, found %llu", wide(*value));
  file_.alignment_ = *value;
  return {};
}

Status GgufReader::tensors() {
  for (std::uint64_t i = 0; i < tensor_count_; ++i) {
    char number[40];
    std::snprintf(number, sizeof number, "name of tensor %llu", wide(i));
    cursor_.subject(number);
    KEDGE_TRY(GgufTensor found, tensor());
    file_.tensors_.push_back(std::move(found));
  }
  return sort_names(
      "tensor", file_.tensors_, [](const auto& entry) { return std::string_view(entry.name); },
      file_.by_name_);
}

Result<GgufTensor> GgufReader::tensor() {
  GgufTensor t;
  KEDGE_TRY(t.name, cursor_.string(longest_name));
  if (t.name.empty())
    return fail(Code::malformed, cursor_.file(), "%s: expected a name, found none",
                cursor_.subject());
  cursor_.subject("tensor", t.name);
  KEDGE_TRY(const std::uint32_t rank, cursor_.value<std::uint32_t>());
  if (rank < 1 || rank > 4)
    return fail(Code::malformed, cursor_.file(), "%s: expected 1 to 4 extents, found %u",
                cursor_.subject(), rank);
  t.rank = static_cast<std::uint8_t>(rank);
  std::uint64_t values = 1;
  for (std::uint32_t k = 0; k < rank; ++k) {
    KEDGE_TRY(const std::uint64_t extent, cursor_.value<std::uint64_t>());
    if (extent == 0 || __builtin_mul_overflow(values, extent, &values) || values >> 63 != 0)
      return fail(Code::malformed, cursor_.file(),
                  "%s: expected extents of 1 or more with a product below 2^63, found %llu as "
                  "extent %u of %u",
                  cursor_.subject(), wide(extent), k + 1, rank);
    t.extent[rank - 1 - k] = static_cast<std::int64_t>(extent);
  }
  KEDGE_TRY(t.type, cursor_.value<std::uint32_t>());
  const GgmlType known = ggml_type(t.type);
  t.supported = known.supported;
  t.element = known.element;
  if (known.block != 0) {
    const auto width = static_cast<std::uint64_t>(t.extent[rank - 1]);
    if (width % known.block != 0)
      return fail(Code::malformed, cursor_.file(),
                  "%s: expected rows of a multiple of %u values (%s blocks), found %llu",
                  cursor_.subject(), known.block, known.name, wide(width));
    if (__builtin_mul_overflow(values / known.block, std::uint64_t{known.bytes}, &t.bytes))
      return fail(Code::malformed, cursor_.file(), "%s: %llu values of %s exceed 2^64 bytes",
                  cursor_.subject(), wide(values), known.name);
  }
  KEDGE_TRY(t.offset, cursor_.value<std::uint64_t>());
  if (t.offset % file_.alignment_ != 0)
    return fail(Code::malformed, cursor_.file(),
                "%s: expected an offset that is a multiple of %llu, found %llu", cursor_.subject(),
                wide(file_.alignment_), wide(t.offset));
  return t;
}

Status GgufReader::place_tensors() {
  if (file_.tensors_.empty()) return {};
  const std::uint64_t size = file_.source_.size(), mask = file_.alignment_ - 1;
  const std::uint64_t padding = (file_.alignment_ - (cursor_.position() & mask)) & mask;
  if (padding > cursor_.left())
    return fail(Code::malformed, cursor_.file(),
                "expected tensor data after %llu bytes of padding, found %llu bytes left",
                wide(padding), wide(cursor_.left()));
  const std::uint64_t start = cursor_.position() + padding;
  std::vector<std::uint32_t> order(file_.tensors_.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    GgufTensor& t = file_.tensors_[i];
    // Of an unknown type at least one byte must be there.
    const std::uint64_t bytes = std::max<std::uint64_t>(t.bytes, 1);
    if (t.offset > size - start || bytes > size - start - t.offset)
      return fail(
          Code::malformed, cursor_.file(),
          "tensor '%s': expected %llu bytes at offset %llu of the data, found %llu bytes of "
          "data in all",
          Shown(t.name).text(), wide(bytes), wide(t.offset), wide(size - start));
    t.offset += start;
  }
  std::sort(order.begin(), order.end(), [this](std::uint32_t a, std::uint32_t b) {
    return file_.tensors_[a].offset < file_.tensors_[b].offset;
  });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const GgufTensor &before = file_.tensors_[order[i - 1]], &after = file_.tensors_[order[i]];
    const std::uint64_t end = before.offset + std::max<std::uint64_t>(before.bytes, 1);
    if (after.offset < end)
      return fail(Code::malformed, cursor_.file(),
                  "tensor '%s': expected to start at or after %llu where '%s' ends, found %llu",
                  Shown(after.name).text(), wide(end), Shown(before.name).text(),
                  wide(after.offset));
  }
  return {};
}

template <class Entries, class Name>
Status GgufReader::sort_names(const char* kind, const Entries& entries, Name name,
                              std::vector<std::uint32_t>& order) {
  order.resize(entries.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return name(entries[a]) < name(entries[b]); });
  for (std::size_t i = 1; i < order.size(); ++i)
    if (name(entries[order[i - 1]]) == name(entries[order[i]]))
      return fail(Code::malformed, cursor_.file(), "%s '%s': expected once, found twice", kind,
                  Shown(name(entries[order[i]])).text());
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::io
