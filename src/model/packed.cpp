#include "model/packed.hpp"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <string>
#include <vector>

#include "kedge/core/hash.hpp"
#include "kedge/core/os/file.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

// Of the layout: panels (kernel/cpu/panel.hpp), the formats' Packed, and the order of the tensors.
// To be counted up when one of them changes.
constexpr const char* version = "2";
constexpr const char* version_key = "kedge.packed";
constexpr const char* tensor_name = "weights";
// The whole file is mapped, and pages begin at multiples of that on every processor that Kedge
// knows.
constexpr std::size_t page = 65536;
constexpr std::uint64_t sample_bytes = 4096;

// Where there is no time that would tell versions apart.
Status add_all(const FileTensor& t, Hash& hash) {
  static constexpr std::uint64_t step = 1 << 20;
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(t.bytes, step)));
  for (std::uint64_t at = 0; at < t.bytes; at += step) {
    const auto part =
        std::span(bytes).first(static_cast<std::size_t>(std::min(t.bytes - at, step)));
    KEDGE_CHECK(t.source->read(t.offset + at, part));
    hash.add(part);
  }
  return {};
}

// Bytes of a tensor as its file has them: at its start, its middle and its end.
Status add_samples(const FileTensor& t, Hash& hash) {
  if (t.source->modified() == 0) return add_all(t, hash);
  std::byte bytes[sample_bytes];
  const std::uint64_t count = std::min(t.bytes, sample_bytes);
  for (const std::uint64_t at : {std::uint64_t{0}, (t.bytes - count) / 2, t.bytes - count}) {
    const std::span<std::byte> part(bytes, static_cast<std::size_t>(count));
    KEDGE_CHECK(t.source->read(t.offset + at, part));
    hash.add(part);
  }
  return {};
}

// Of what the items are made from and where they go. Of files not every byte is read, or loading
// would take as long as packing: sizes, times and samples tell files apart that are not made to
// deceive.
Result<std::uint64_t> source_key(std::span<const LoadItem> items, std::size_t bytes) {
  Hash hash;
  hash.add_value(bytes);
  for (const LoadItem& item : items) {
    const FileTensor& t = *item.source;
    hash.add(std::as_bytes(std::span(t.name)));
    hash.add_value(t.element);
    for (const std::int64_t n : t.extent) hash.add_value(n);
    for (const std::uint64_t n : {t.offset, t.bytes, t.source->size()}) hash.add_value(n);
    hash.add_value(t.source->modified());
    hash.add_value(item.offset);
    hash.add_value(item.bytes);
    hash.add_value(item.conversion);
    hash.add_value(item.target->element);
    for (const std::int64_t n : {item.runs.run, item.runs.stride, item.runs.first})
      hash.add_value(n);
    KEDGE_CHECK(add_samples(t, hash));
  }
  return hash.value();
}

std::string hexadecimal(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, value);
  return text;
}

Result<std::uint64_t> parse_digest(const std::string* text, const char* path) {
  std::uint64_t value = 0;
  if (text != nullptr && text->size() == 16) {
    const char* const end = text->data() + text->size();
    const auto [last, error] = std::from_chars(text->data(), end, value, 16);
    if (error == std::errc() && last == end) return value;
  }
  return fail(Code::malformed, path, "packed weights: digest: expected 16 hexadecimal digits");
}

const std::string* find(const io::Safetensors& file, std::string_view key) {
  for (const auto& [name, value] : file.metadata())
    if (name == key) return &value;
  return nullptr;
}

Status expect(const io::Safetensors& file, const char* path, const char* key,
              std::string_view expected, const char* meaning) {
  const std::string* const found = find(file, key);
  if (found != nullptr && *found == expected) return {};
  return fail(Code::malformed, path, "packed weights: %s (%s: expected %.*s, found %s)", meaning,
              key, static_cast<int>(expected.size()), expected.data(),
              found == nullptr ? "nothing" : found->c_str());
}

}  // namespace

Result<MappedWeights> map_packed(const PackedWeights& packed, std::span<const LoadItem> items,
                                 std::size_t bytes, const Model::Options& options) {
  const char* const path = packed.path.c_str();
  KEDGE_TRY(io::Source source, io::Source::open(path, {.map = true}));
  KEDGE_TRY(io::Safetensors opened, io::Safetensors::open(std::move(source)));
  KEDGE_CHECK(expect(opened, path, version_key, version, "not of this version of Kedge"));
  KEDGE_TRY(const std::uint64_t key, source_key(items, bytes));
  KEDGE_CHECK(expect(opened, path, "source", hexadecimal(key), "made from other files"));
  if (options.check_weights)
    KEDGE_CHECK(expect(opened, path, "checked", "yes", "made without looking for NaNs"));
  const io::SafeTensor* const tensor = opened.tensor(tensor_name);
  if (tensor == nullptr || tensor->bytes != bytes)
    return fail(Code::malformed, path, "packed weights: expected %zu bytes of tensor %s", bytes,
                tensor_name);
  const std::uint64_t at = tensor->offset;
  MappedWeights mapped;
  KEDGE_TRY(mapped.digest, parse_digest(find(opened, "digest"), path));
  mapped.file = std::make_shared<const io::Safetensors>(std::move(opened));
  const std::byte* const file = mapped.file->source().mapped();
  if (file == nullptr || at % page != 0)
    return fail(Code::io, path, "packed weights: the file cannot be mapped");
  // Nobody writes to a model's weights; the mapping would not let them.
  mapped.data = const_cast<std::byte*>(file + at);
  return mapped;
}

Status expect_replaceable(const PackedWeights& packed) {
  const char* const path = packed.path.c_str();
  const Result<os::ReadFile> there = os::ReadFile::open(path);
  if (!there) {
    const Code code = there.error().code;  // malformed: it is empty
    return code == Code::not_found || code == Code::malformed ? Status()
                                                              : Status(unexpected(there.error()));
  }
  // The writer puts the metadata first, so that also what is left of a damaged file is known.
  std::string start(static_cast<std::size_t>(std::min<std::uint64_t>(there->size(), 256)), '\0');
  KEDGE_CHECK(there->read(0, std::as_writable_bytes(std::span(start)), path));
  if (start.find(version_key) != std::string::npos) return {};
  return fail(Code::invalid_argument, path,
              "packed weights: another file is there, and is not replaced; give a new name");
}

Status write_packed(const char* path, std::span<const LoadItem> items, std::size_t bytes,
                    std::uint64_t digest, const Model::Options& options) {
  KEDGE_TRY(const std::uint64_t key, source_key(items, bytes));
  io::SafetensorsWriter writer;
  KEDGE_CHECK(writer.add_metadata(version_key, version));
  KEDGE_CHECK(writer.add_metadata("source", hexadecimal(key)));
  KEDGE_CHECK(writer.add_metadata("digest", hexadecimal(digest)));
  KEDGE_CHECK(writer.add_metadata("checked", options.check_weights ? "yes" : "no"));
  const std::int64_t shape[] = {static_cast<std::int64_t>(bytes)};
  const std::byte* const weights = items.front().target->data - items.front().offset;
  KEDGE_CHECK(writer.add_tensor(tensor_name, io::SafeType::u8, shape, {weights, bytes}));
  writer.align_data(page);
  return writer.write(path);
}

}  // namespace kedge::inline KEDGE_ABI
