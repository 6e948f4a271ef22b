#include "kedge/io/safetensors.hpp"

#include <algorithm>
#include <cinttypes>
#include <numeric>
#include <optional>

#include "io/cursor.hpp"
#include "io/guarded.hpp"
#include "io/json.hpp"
#include "io/shown.hpp"

namespace kedge::inline KEDGE_ABI::io {
namespace {

constexpr std::uint64_t longest_header = 100'000'000;  // the format's limit
constexpr int deepest_header = 4;                      // header, tensor, shape; one to spare
constexpr std::size_t most_values = 1u << 20;          // a tensor takes about eight

struct SafeTraits {
  const char* name;
  std::size_t bytes;
};
constexpr SafeTraits safe_types[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I32", 4},
                                     {"I64", 8}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};

std::optional<SafeType> type_named(std::string_view name) noexcept {
  for (std::size_t i = 0; i < std::size(safe_types); ++i)
    if (name == safe_types[i].name) return static_cast<SafeType>(i);
  return {};
}

// Bytes of a tensor of this shape, nothing when they exceed 63 bits.
std::optional<std::uint64_t> bytes_of(SafeType type, std::span<const std::int64_t> shape) noexcept {
  std::uint64_t bytes = bytes_per_value(type);
  for (const std::int64_t extent : shape) {
    if (extent < 0) return {};
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) return {};
  }
  if (bytes >> 63 != 0) return {};
  return bytes;
}

// One member of the header. Offsets stay relative to the data.
Result<SafeTensor> read_entry(const char* file, const Json::Member& member) {
  SafeTensor tensor;
  tensor.name = member.first;
  const Json& json = member.second;
  char what[160];
  const auto about = [&](const char* field) {
    std::snprintf(what, sizeof what, "tensor '%s': %s", Shown(tensor.name).text(), field);
    return what;
  };
  const auto missing = [&](const char* field) {
    return fail(Code::malformed, file, "%s: not in the header", about(field));
  };
  if (!json.is(Json::Type::object))
    return fail(Code::malformed, file, "%s, found %s", about("expected an object"),
                json.type_name());

  const Json* type = json.find("dtype");
  if (type == nullptr) return missing("dtype");
  KEDGE_TRY(const std::string_view type_text, type->string(file, about("dtype")));
  const auto known = type_named(type_text);
  if (!known)
    return fail(Code::unsupported, file,
                "%s: expected F32, F16, BF16, I32, I64, I8, U8 or BOOL, found '%s'", about("dtype"),
                Shown(type_text).text());
  tensor.type = *known;

  const Json* shape = json.find("shape");
  if (shape == nullptr) return missing("shape");
  if (!shape->is(Json::Type::array))
    return fail(Code::malformed, file, "%s: expected an array, found %s", about("shape"),
                shape->type_name());
  for (const Json& item : shape->items()) {
    KEDGE_TRY(const std::uint64_t extent, item.uint(file, about("shape")));
    if (extent >> 63 != 0)
      return fail(Code::malformed, file, "%s: expected extents below 2^63, found %" PRIu64,
                  about("shape"), extent);
    tensor.shape.push_back(static_cast<std::int64_t>(extent));
  }
  const auto bytes = bytes_of(tensor.type, tensor.shape);
  if (!bytes)
    return fail(Code::malformed, file, "%s: expected a product below 2^63 bytes", about("shape"));
  tensor.bytes = *bytes;

  const Json* offsets = json.find("data_offsets");
  if (offsets == nullptr) return missing("data_offsets");
  if (!offsets->is(Json::Type::array) || offsets->items().size() != 2)
    return fail(Code::malformed, file, "%s: expected two integers", about("data_offsets"));
  KEDGE_TRY(tensor.offset, offsets->items()[0].uint(file, about("data_offsets")));
  KEDGE_TRY(const std::uint64_t end, offsets->items()[1].uint(file, about("data_offsets")));
  if (end < tensor.offset || end - tensor.offset != tensor.bytes)
    return fail(Code::malformed, file,
                "%s: expected %" PRIu64 " bytes by dtype and shape, found %" PRIu64 " to %" PRIu64,
                about("data_offsets"), tensor.bytes, tensor.offset, end);
  return tensor;
}

// Tensors in data order must follow each other from 0 to the end of the file, without gap or
// overlap.
Status place_tensors(const Source& source, std::uint64_t start, std::vector<SafeTensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const SafeTensor& a, const SafeTensor& b) {
    return a.offset != b.offset ? a.offset < b.offset
           : a.bytes != b.bytes ? a.bytes < b.bytes
                                : a.name < b.name;
  });
  const std::uint64_t size = source.size() - start;
  std::uint64_t end = 0;
  for (SafeTensor& tensor : tensors) {
    if (tensor.offset != end)
      return fail(Code::malformed, source.name(),
                  "tensor '%s': expected to start at %" PRIu64
                  " of the data, where the one before "
                  "ends, found %" PRIu64,
                  Shown(tensor.name).text(), end, tensor.offset);
    if (tensor.bytes > size - end)
      return fail(Code::malformed, source.name(),
                  "tensor '%s': expected %" PRIu64 " bytes at %" PRIu64
                  " of the data, found %" PRIu64 " bytes of data in all",
                  Shown(tensor.name).text(), tensor.bytes, tensor.offset, size);
    end += tensor.bytes;
    tensor.offset += start;
  }
  if (end != size)
    return fail(Code::malformed, source.name(),
                "expected the data to end with the last tensor at %" PRIu64 ", found %" PRIu64
                " bytes of data",
                end, size);
  return {};
}

}  // namespace

const char* to_string(SafeType type) noexcept {
  return safe_types[static_cast<unsigned>(type)].name;
}
std::size_t bytes_per_value(SafeType type) noexcept {
  return safe_types[static_cast<unsigned>(type)].bytes;
}

Result<Safetensors> Safetensors::open(Source source) noexcept {
  char name[128];
  std::snprintf(name, sizeof name, "%s", source.name());
  return guarded(name, [&] { return parse(std::move(source)); });
}

Result<Safetensors> Safetensors::open(const char* path) noexcept {
  KEDGE_TRY(Source source, Source::open(path));
  return open(std::move(source));
}

Result<Safetensors> Safetensors::parse(Source source) {
  Safetensors result;
  result.source_ = std::move(source);
  const char* file = result.source_.name();
  Cursor cursor(result.source_);
  if (cursor.left() == 0) return fail(Code::malformed, file, "the file is empty");
  cursor.subject("header");
  KEDGE_TRY(const std::string header, cursor.string(longest_header));
  KEDGE_TRY(const Json json,
            Json::parse(header, file, {longest_header, deepest_header, most_values}));
  if (!json.is(Json::Type::object))
    return fail(Code::malformed, file, "header: expected an object, found %s", json.type_name());
  for (const Json::Member& member : json.members()) {
    if (member.first == "__metadata__") {
      if (!member.second.is(Json::Type::object))
        return fail(Code::malformed, file, "__metadata__: expected an object, found %s",
                    member.second.type_name());
      for (const auto& [key, value] : member.second.members()) {
        char what[160];
        std::snprintf(what, sizeof what, "__metadata__ '%s'", Shown(key).text());
        KEDGE_TRY(const std::string_view text, value.string(file, what));
        result.metadata_.emplace_back(std::string(key), std::string(text));
      }
      continue;
    }
    KEDGE_TRY(SafeTensor tensor, read_entry(file, member));
    result.tensors_.push_back(std::move(tensor));
  }
  KEDGE_CHECK(place_tensors(result.source_, cursor.position(), result.tensors_));
  result.by_name_.resize(result.tensors_.size());  // the parser refused equal names
  std::iota(result.by_name_.begin(), result.by_name_.end(), 0u);
  std::sort(result.by_name_.begin(), result.by_name_.end(), [&](std::uint32_t a, std::uint32_t b) {
    return result.tensors_[a].name < result.tensors_[b].name;
  });
  return result;
}

const SafeTensor* Safetensors::tensor(std::string_view name) const noexcept {
  const auto at = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [&](std::uint32_t index, std::string_view text) { return tensors_[index].name < text; });
  return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
}

Result<TensorBytes> Safetensors::read(const SafeTensor& tensor,
                                      const Allocator& allocator) const noexcept {
  return source_.load(tensor.offset, tensor.bytes, allocator);
}

Result<Tensor> as_tensor(const SafeTensor& tensor, const TensorBytes& bytes) noexcept {
  const Shown name(tensor.name);
  Tensor view;
  switch (tensor.type) {
    case SafeType::f32:
      view.element = Element::f32;
      break;
    case SafeType::f16:
      view.element = Element::f16;
      break;
    case SafeType::bf16:
      view.element = Element::bf16;
      break;
    case SafeType::i32:
      view.element = Element::i32;
      break;
    default:
      return fail(Code::unsupported, name.text(), "expected F32, F16, BF16 or I32, found %s",
                  to_string(tensor.type));
  }
  if (tensor.shape.size() > Tensor::max_rank)
    return fail(Code::unsupported, name.text(), "expected at most %d extents, found %zu",
                Tensor::max_rank, tensor.shape.size());
  if (bytes.size != tensor.bytes)
    return fail(Code::invalid_argument, name.text(), "expected %" PRIu64 " bytes, found %zu",
                tensor.bytes, bytes.size);
  view.data = const_cast<std::byte*>(bytes.data);
  view.rank = static_cast<std::uint8_t>(std::max<std::size_t>(tensor.shape.size(), 1));
  std::copy(tensor.shape.begin(), tensor.shape.end(), view.extent);
  return view;
}

Status SafetensorsWriter::add_metadata(std::string_view key, std::string_view value) noexcept {
  const Shown shown(key);
  for (const auto& entry : metadata_)
    if (entry.first == key)
      return fail(Code::invalid_argument, shown.text(), "the key is there already");
  return guarded(shown.text(), [&]() -> Status {
    metadata_.emplace_back(std::string(key), std::string(value));
    return {};
  });
}

Status SafetensorsWriter::add_tensor(std::string_view name, SafeType type,
                                     std::span<const std::int64_t> shape,
                                     std::span<const std::byte> bytes) noexcept {
  const Shown shown(name);
  if (name == "__metadata__")
    return fail(Code::invalid_argument, shown.text(), "the name is reserved");
  for (const Entry& entry : tensors_)
    if (entry.name == name)
      return fail(Code::invalid_argument, shown.text(), "the tensor is there already");
  const auto expected = bytes_of(type, shape);
  if (!expected || *expected != bytes.size())
    return fail(Code::invalid_argument, shown.text(),
                "expected %" PRIu64 " bytes by type and shape, found %zu",
                expected.value_or(~std::uint64_t{0}), bytes.size());
  return guarded(shown.text(), [&]() -> Status {
    Entry entry{std::string(name), type, {shape.begin(), shape.end()}, bytes};
    tensors_.push_back(std::move(entry));
    return {};
  });
}

Status SafetensorsWriter::add_tensor(std::string_view name, const Tensor& tensor) noexcept {
  SafeType type;
  switch (tensor.element) {
    case Element::f32:
      type = SafeType::f32;
      break;
    case Element::f16:
      type = SafeType::f16;
      break;
    case Element::bf16:
      type = SafeType::bf16;
      break;
    case Element::i32:
      type = SafeType::i32;
      break;
    default:
      return fail(Code::unsupported, Shown(name).text(), "the format has no type for %s",
                  to_string(tensor.element));
  }
  if (tensor.layout != Layout::row_major || tensor.rank < 1 || tensor.rank > Tensor::max_rank)
    return fail(Code::invalid_argument, Shown(name).text(),
                "expected a row-major tensor of rank 1 to 4, found rank %d%s", tensor.rank,
                tensor.layout != Layout::row_major ? " in panels" : "");
  const std::span<const std::int64_t> shape(tensor.extent, tensor.rank);
  const auto bytes = bytes_of(type, shape);
  if (!bytes)
    return fail(Code::invalid_argument, Shown(name).text(),
                "expected extents of 0 or more with a product below 2^63 bytes");
  return add_tensor(name, type, shape, {tensor.data, static_cast<std::size_t>(*bytes)});
}

Status SafetensorsWriter::write(Sink sink) const noexcept {
  constexpr const char* place = "writing safetensors";
  return guarded(place, [&]() -> Status {
    std::vector<const Entry*> order;
    for (const Entry& entry : tensors_) order.push_back(&entry);
    std::stable_sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
      return bytes_per_value(a->type) > bytes_per_value(b->type);
    });
    std::string header = "{";
    const auto name = [&](std::string_view text) -> Status {
      if (header.back() != '{') header += ',';
      KEDGE_TRY(const std::string quoted, json_quoted(text, place));
      header += quoted;
      header += ':';
      return {};
    };
    if (!metadata_.empty()) {
      header += "\"__metadata__\":{";
      for (const auto& [key, value] : metadata_) {
        KEDGE_CHECK(name(key));
        KEDGE_TRY(const std::string quoted, json_quoted(value, place));
        header += quoted;
      }
      header += '}';
    }
    std::uint64_t offset = 0;
    for (const Entry* entry : order) {
      KEDGE_CHECK(name(entry->name));
      header += "{\"dtype\":\"";
      header += to_string(entry->type);
      header += "\",\"shape\":[";
      for (std::size_t i = 0; i < entry->shape.size(); ++i) {
        if (i != 0) header += ',';
        header += std::to_string(entry->shape[i]);
      }
      header += "],\"data_offsets\":[";
      header += std::to_string(offset);
      header += ',';
      offset += entry->bytes.size();
      header += std::to_string(offset);
      header += "]}";
    }
    header += '}';
    // The header's length stands before it, in 8 bytes.
    const std::size_t beyond = (8 + header.size()) % data_alignment_;
    header.append((data_alignment_ - beyond) % data_alignment_, ' ');
    if (header.size() > longest_header)
      return fail(Code::invalid_argument, place,
                  "expected a header of at most %" PRIu64 " bytes, found %zu", longest_header,
                  header.size());
    const std::uint64_t length = header.size();
    KEDGE_CHECK(sink.write(std::as_bytes(std::span(&length, 1))));
    KEDGE_CHECK(sink.write(std::as_bytes(std::span(header))));
    for (const Entry* entry : order) KEDGE_CHECK(sink.write(entry->bytes));
    return sink.finish();
  });
}

Status SafetensorsWriter::write(const char* path) const noexcept {
  KEDGE_TRY(Sink sink, Sink::create(path));
  return write(std::move(sink));
}
Status SafetensorsWriter::write(std::vector<std::byte>& bytes) const noexcept {
  return write(Sink::memory(bytes));
}

}  // namespace kedge::inline KEDGE_ABI::io
