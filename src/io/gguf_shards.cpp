#include "kedge/io/gguf_shards.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string>

#include "io/guarded.hpp"

namespace kedge::inline KEDGE_ABI::io {

namespace {

// Far above any published model; a directory of this many files opens in a second.
constexpr std::uint64_t most_shards = 10000;

struct Split {
  std::uint64_t number = 0, count = 1, tensors = 0;
  bool stated = false;  // the file has the keys
};

Result<Split> read_split(const Gguf& file) {
  Split split;
  if (file.find("split.count") == nullptr) return split;
  KEDGE_TRY(split.count, file.uint("split.count"));
  KEDGE_TRY(split.number, file.uint("split.no"));
  KEDGE_TRY(split.tensors, file.uint("split.tensors.count"));
  split.stated = true;
  if (split.count < 1 || split.count > most_shards)
    return fail(Code::malformed, file.source().name(),
                "split.count: expected 1..%" PRIu64 ", found %" PRIu64, most_shards, split.count);
  if (split.number >= split.count)
    return fail(Code::malformed, file.source().name(),
                "split.no: expected below split.count %" PRIu64 ", found %" PRIu64, split.count,
                split.number);
  return split;
}

// "-00002-of-00003.gguf" at the end of a path.
struct ShardName {
  static constexpr std::size_t suffix = sizeof "-00001-of-00003.gguf" - 1;
  std::string prefix;
  unsigned number = 0, count = 0;  // the number from 1, as in the name

  static bool parse(const std::string& path, ShardName& name) {
    if (path.size() < suffix) return false;
    const std::string end = path.substr(path.size() - suffix);
    constexpr const char* pattern = "-00000-of-00000.gguf";
    for (std::size_t i = 0; i < suffix; ++i)
      if (pattern[i] == '0' ? end[i] < '0' || end[i] > '9' : end[i] != pattern[i]) return false;
    name.prefix = path.substr(0, path.size() - suffix);
    return std::sscanf(end.c_str(), "-%5u-of-%5u", &name.number, &name.count) == 2;
  }
  std::string path(unsigned which) const {
    char end[48];
    std::snprintf(end, sizeof end, "-%05u-of-%05u.gguf", which, count);
    return prefix + end;
  }
};

// Puts files in the order of split.no and checks that they are one whole.
Result<std::vector<Gguf>> in_order(std::vector<Gguf> files) {
  struct Entry {
    Split split;
    std::size_t file;
  };
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const char* place = files[i].source().name();
    KEDGE_TRY(const Split split, read_split(files[i]));
    if (files.size() > 1 && !split.stated)
      return fail(Code::malformed, place, "expected one of %zu shards, found no key split.count",
                  files.size());
    if (split.count != files.size())
      return fail(split.count > files.size() ? Code::not_found : Code::malformed, place,
                  "it is shard %" PRIu64 " of %" PRIu64 " (split.count), found %zu file%s",
                  split.number + 1, split.count, files.size(), files.size() == 1 ? "" : "s");
    entries.push_back({split, i});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.split.number < b.split.number; });
  std::uint64_t tensors = 0;
  std::vector<Gguf> ordered;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto& [split, file] = entries[i];
    const char* place = files[file].source().name();
    if (i > 0 && split.number == entries[i - 1].split.number)
      return fail(Code::malformed, place,
                  "split.no: expected each of 0..%zu once, found %" PRIu64 " twice",
                  entries.size() - 1, split.number);
    if (split.tensors != entries[0].split.tensors)
      return fail(Code::malformed, place,
                  "split.tensors.count: expected %" PRIu64 " as in the first shard, found %" PRIu64,
                  entries[0].split.tensors, split.tensors);
    tensors += files[file].tensors().size();
  }
  if (entries[0].split.stated && tensors != entries[0].split.tensors)
    return fail(Code::malformed, files[entries[0].file].source().name(),
                "split.tensors.count: expected %" PRIu64 " tensors in %zu shards, found %" PRIu64,
                entries[0].split.tensors, entries.size(), tensors);
  for (const Entry& entry : entries) ordered.push_back(std::move(files[entry.file]));
  return ordered;
}

Result<std::vector<Gguf>> open_all(const char* path) {
  KEDGE_TRY(Gguf first, Gguf::open(path));
  KEDGE_TRY(const Split split, read_split(first));
  std::vector<Gguf> files;
  if (split.count == 1) {
    files.push_back(std::move(first));
    return in_order(std::move(files));
  }
  ShardName name;
  char place[128];
  os::shorten_path(path, place);
  if (!ShardName::parse(path, name))
    return fail(Code::not_found, place,
                "it is shard %" PRIu64 " of %" PRIu64
                "; expected a name that ends with "
                "-%05" PRIu64 "-of-%05" PRIu64 ".gguf, so that the others can be found",
                split.number + 1, split.count, split.number + 1, split.count);
  if (name.count != split.count || name.number != split.number + 1)
    return fail(Code::malformed, place,
                "its name says shard %u of %u, its metadata %" PRIu64 " of %" PRIu64, name.number,
                name.count, split.number + 1, split.count);
  for (unsigned i = 1; i <= name.count; ++i) {
    if (i == name.number) {
      files.push_back(std::move(first));
      continue;
    }
    KEDGE_TRY(Gguf file, Gguf::open(name.path(i).c_str()));
    KEDGE_TRY(const Split found, read_split(file));
    if (found.number + 1 != i || found.count != split.count)
      return fail(Code::malformed, file.source().name(),
                  "its name says shard %u of %u, its metadata %" PRIu64 " of %" PRIu64, i,
                  name.count, found.number + 1, found.count);
    files.push_back(std::move(file));
  }
  return in_order(std::move(files));
}

}  // namespace

Result<std::vector<Gguf>> open_gguf_shards(const char* path) noexcept {
  char place[128];
  os::shorten_path(path, place);
  return guarded(place, [&] { return open_all(path); });
}

Result<std::vector<Gguf>> open_gguf_shards(std::vector<Source> sources) noexcept {
  if (sources.empty())
    return fail(Code::invalid_argument, "gguf", "expected at least one source, found none");
  return guarded(sources[0].name(), [&]() -> Result<std::vector<Gguf>> {
    std::vector<Gguf> files;
    for (Source& source : sources) {
      KEDGE_TRY(Gguf file, Gguf::open(std::move(source)));
      files.push_back(std::move(file));
    }
    return in_order(std::move(files));
  });
}

}  // namespace kedge::inline KEDGE_ABI::io
