#include "model/packed.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdlib>

#include "kedge/core/hash.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

// Of the layout: panels (kernel/cpu/panel.hpp), the formats' Packed, and the order of the tensors.
// To be counted up when one of them changes.
constexpr const char* version = "1";
constexpr const char* tensor_name = "weights";
// The whole file is mapped, and pages begin at multiples of that on every processor that Kedge
// knows.
constexpr std::size_t page = 65536;
constexpr std::uint64_t sample_bytes = 4096;

// Bytes of a tensor as its file has them: at its start, its middle and its end.
Status add_samples(const FileTensor& t, Hash& hash) {
  std::byte bytes[sample_bytes];
  const std::uint64_t count = std::min(t.bytes, sample_bytes);
  for (const std::uint64_t at : {std::uint64_t{0}, (t.bytes - count) / 2, t.bytes - count}) {
    const std::span<std::byte> part(bytes, static_cast<std::size_t>(count));
    KEDGE_CHECK(t.source->read(t.offset + at, part));
    hash.add(part);
  }
  return {};
}

// Of what the items are made from and where they go. Not every byte is read, or loading would take
// as long as packing: sizes, times and samples tell files apart that are not made to deceive.
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
  KEDGE_CHECK(expect(opened, path, "kedge.packed", version, "not of this version of Kedge"));
  KEDGE_TRY(const std::uint64_t key, source_key(items, bytes));
  KEDGE_CHECK(expect(opened, path, "source", hexadecimal(key), "made from other files"));
  if (options.check_weights)
    KEDGE_CHECK(expect(opened, path, "checked", "yes", "made without looking for NaNs"));
  const std::string* const fingerprint = find(opened, "fingerprint");
  const io::SafeTensor* const tensor = opened.tensor(tensor_name);
  if (fingerprint == nullptr || tensor == nullptr || tensor->bytes != bytes)
    return fail(Code::malformed, path,
                "packed weights: expected a fingerprint and %zu bytes of tensor %s", bytes,
                tensor_name);
  const std::uint64_t at = tensor->offset;
  MappedWeights mapped;
  mapped.fingerprint = std::strtoull(fingerprint->c_str(), nullptr, 16);
  mapped.file = std::make_shared<const io::Safetensors>(std::move(opened));
  const std::byte* const file = mapped.file->source().mapped();
  if (file == nullptr || at % page != 0)
    return fail(Code::io, path, "packed weights: the file cannot be mapped");
  // Nobody writes to a model's weights; the mapping would not let them.
  mapped.data = const_cast<std::byte*>(file + at);
  return mapped;
}

Status write_packed(const char* path, std::span<const LoadItem> items, std::size_t bytes,
                    std::uint64_t fingerprint, const Model::Options& options) {
  KEDGE_TRY(const std::uint64_t key, source_key(items, bytes));
  io::SafetensorsWriter writer;
  KEDGE_CHECK(writer.add_metadata("kedge.packed", version));
  KEDGE_CHECK(writer.add_metadata("source", hexadecimal(key)));
  KEDGE_CHECK(writer.add_metadata("fingerprint", hexadecimal(fingerprint)));
  KEDGE_CHECK(writer.add_metadata("checked", options.check_weights ? "yes" : "no"));
  const std::int64_t shape[] = {static_cast<std::int64_t>(bytes)};
  const std::byte* const weights = items.front().target->data - items.front().offset;
  KEDGE_CHECK(writer.add_tensor(tensor_name, io::SafeType::u8, shape, {weights, bytes}));
  writer.align_data(page);
  return writer.write(path);
}

}  // namespace kedge::inline KEDGE_ABI
