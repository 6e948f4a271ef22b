#include "kedge/io/gguf.hpp"

#include <algorithm>
#include <cinttypes>

#include "io/gguf_reader.hpp"
#include "io/guarded.hpp"

namespace kedge::inline KEDGE_ABI::io {
namespace {

// The entry with this name, by the sorted index; null when absent.
template <class Entries, class Name>
auto find_name(const Entries& entries, const std::vector<std::uint32_t>& order,
               std::string_view wanted, Name name) noexcept -> decltype(&entries[0]) {
  const auto at = std::lower_bound(
      order.begin(), order.end(), wanted,
      [&](std::uint32_t index, std::string_view text) { return name(entries[index]) < text; });
  return at != order.end() && name(entries[*at]) == wanted ? &entries[*at] : nullptr;
}

Unexpected absent(const Source& source, std::string_view key) noexcept {
  return fail(Code::not_found, source.name(), "key '%s': not in the file", Shown(key).text());
}
Unexpected wrong_type(const Source& source, std::string_view key, const char* expected,
                      const GgufValue& found) noexcept {
  return fail(Code::malformed, source.name(), "key '%s': expected %s, found %s", Shown(key).text(),
              expected, to_string(found.type));
}

}  // namespace

Result<Gguf> Gguf::open(Source source) noexcept {
  char name[128];
  std::snprintf(name, sizeof name, "%s", source.name());
  return guarded(name, [&] { return GgufReader::read(std::move(source)); });
}

Result<Gguf> Gguf::open(const char* path) noexcept {
  KEDGE_TRY(Source source, Source::open(path));
  return open(std::move(source));
}

const GgufValue* Gguf::find(std::string_view key) const noexcept {
  const auto* entry =
      find_name(metadata_, by_key_, key, [](const auto& e) { return std::string_view(e.first); });
  return entry != nullptr ? &entry->second : nullptr;
}

const GgufTensor* Gguf::tensor(std::string_view name) const noexcept {
  return find_name(tensors_, by_name_, name,
                   [](const auto& t) { return std::string_view(t.name); });
}

Result<std::uint64_t> Gguf::uint(std::string_view key) const noexcept {
  const GgufValue* found = find(key);
  if (found == nullptr) return absent(source_, key);
  if (const auto* value = std::get_if<std::uint64_t>(&found->value)) return *value;
  const auto* value = std::get_if<std::int64_t>(&found->value);
  if (value == nullptr) return wrong_type(source_, key, "an integer", *found);
  if (*value < 0)
    return fail(Code::malformed, source_.name(), "key '%s': expected 0 or more, found %" PRId64,
                Shown(key).text(), *value);
  return static_cast<std::uint64_t>(*value);
}

Result<double> Gguf::number(std::string_view key) const noexcept {
  const GgufValue* found = find(key);
  if (found == nullptr) return absent(source_, key);
  if (const auto* real = std::get_if<double>(&found->value)) return *real;
  if (const auto* value = std::get_if<std::uint64_t>(&found->value))
    return static_cast<double>(*value);
  if (const auto* value = std::get_if<std::int64_t>(&found->value))
    return static_cast<double>(*value);
  return wrong_type(source_, key, "a number", *found);
}

Result<bool> Gguf::boolean(std::string_view key) const noexcept {
  const GgufValue* found = find(key);
  if (found == nullptr) return absent(source_, key);
  if (const auto* value = std::get_if<bool>(&found->value)) return *value;
  return wrong_type(source_, key, "a boolean", *found);
}

Result<std::string_view> Gguf::string(std::string_view key) const noexcept {
  const GgufValue* found = find(key);
  if (found == nullptr) return absent(source_, key);
  if (const auto* value = std::get_if<std::string>(&found->value)) return std::string_view(*value);
  return wrong_type(source_, key, "a string", *found);
}

Result<const GgufArray*> Gguf::array(std::string_view key) const noexcept {
  const GgufValue* found = find(key);
  if (found == nullptr) return absent(source_, key);
  if (const auto* value = std::get_if<std::shared_ptr<const GgufArray>>(&found->value))
    return value->get();
  return wrong_type(source_, key, "an array", *found);
}

Result<TensorBytes> Gguf::read(const GgufTensor& tensor,
                               const Allocator& allocator) const noexcept {
  if (tensor.bytes == 0)
    return fail(Code::unsupported, source_.name(), "tensor '%s': the size of type %u is not known",
                Shown(tensor.name).text(), tensor.type);
  return source_.load(tensor.offset, tensor.bytes, allocator);
}

Result<Tensor> as_tensor(const GgufTensor& tensor, const TensorBytes& bytes) noexcept {
  const Shown name(tensor.name);
  if (!tensor.supported)
    return fail(Code::unsupported, name.text(), "no kernel for ggml type %u (%s)", tensor.type,
                ggml_type(tensor.type).name);
  if (bytes.size != tensor.bytes)
    return fail(Code::invalid_argument, name.text(), "expected %" PRIu64 " bytes, found %zu",
                tensor.bytes, bytes.size);
  Tensor view;
  view.data = const_cast<std::byte*>(bytes.data);
  std::copy_n(tensor.extent, 4, view.extent);
  view.rank = tensor.rank;
  view.element = tensor.element;
  return view;
}

}  // namespace kedge::inline KEDGE_ABI::io
