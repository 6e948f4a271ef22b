#include "model/folder.hpp"

#include <algorithm>

#include "io/json.hpp"
#include "io/shown.hpp"

namespace kedge::inline KEDGE_ABI {

using io::Json;
using io::Shown;

Result<std::string> read_text(const io::Source& source, std::size_t longest) {
  if (source.size() > longest)
    return fail(Code::malformed, source.name(), "expected at most %zu bytes, found %llu", longest,
                static_cast<unsigned long long>(source.size()));
  std::string text(static_cast<std::size_t>(source.size()), '\0');
  KEDGE_CHECK(source.read(0, std::as_writable_bytes(std::span(text))));
  return text;
}

namespace folder {

namespace {

constexpr std::size_t most_files = 10000;

// A file of the same folder: no path may lead out of it.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

}  // namespace

Result<Index> read_index(std::string_view text, const char* place) {
  KEDGE_TRY(const Json json, Json::parse(text, place, {longest_index, 8, std::size_t{1} << 22}));
  const Json* map = json.find("weight_map");
  if (map == nullptr)
    return fail(Code::malformed, place, "weight_map: expected an object, found none");
  if (!map->is(Json::Type::object))
    return fail(Code::malformed, place, "weight_map: expected an object, found %s",
                map->type_name());
  if (map->members().empty())
    return fail(Code::malformed, place, "weight_map: expected tensors, found none");
  Index index;
  std::vector<std::string_view> names;
  for (const auto& [tensor, file] : map->members()) {
    const Shown shown(tensor);
    KEDGE_TRY(const std::string_view name, file.string(place, shown.text()));
    if (!is_plain_name(name))
      return fail(Code::malformed, place,
                  "%s: expected the name of a file in the folder, found '%s'", shown.text(),
                  Shown(name).text());
    names.push_back(name);
  }
  index.files.assign(names.begin(), names.end());
  std::sort(index.files.begin(), index.files.end());
  index.files.erase(std::unique(index.files.begin(), index.files.end()), index.files.end());
  if (index.files.size() > most_files)
    return fail(Code::malformed, place, "weight_map: expected at most %zu files, found %zu",
                most_files, index.files.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto at = std::lower_bound(index.files.begin(), index.files.end(), names[i]);
    index.entries.push_back(
        {map->members()[i].first, static_cast<std::size_t>(at - index.files.begin())});
  }
  return index;
}

Status check_index(const Index& index, std::span<const io::Safetensors> files, const char* place) {
  std::size_t found = 0;
  for (const io::Safetensors& file : files) found += file.tensors().size();
  for (const auto& [tensor, file] : index.entries)
    if (files[file].tensor(tensor) == nullptr)
      return fail(Code::not_found, files[file].source().name(),
                  "no tensor '%s', which %s says is here", Shown(tensor).text(), place);
  if (found == index.entries.size()) return {};
  return fail(Code::malformed, place,
              "weight_map: expected the %zu tensors of its files, found %zu", found,
              index.entries.size());
}

}  // namespace folder
}  // namespace kedge::inline KEDGE_ABI
