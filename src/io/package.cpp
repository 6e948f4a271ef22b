#include "kedge/io/package.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "io/json.hpp"
#include "kedge/io/sha256.hpp"

namespace kedge::inline KEDGE_ABI::io {

namespace {

constexpr std::uint64_t longest_manifest = std::uint64_t{64} << 20;
constexpr std::int64_t longest_window = 31;
constexpr int deepest = 16;

bool is_sha256(std::string_view text) noexcept {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
}

// Inside the manifest; a name or a ".." that leads out of it is refused.
bool stays_inside(std::string_view path) noexcept {
  if (path.empty() || path.front() == '/' || path.find('\\') != path.npos) return false;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    if (part == "..") return false;
    path.remove_prefix(std::min(path.size(), part.size() + 1));
  }
  return true;
}

}  // namespace

// Walks the manifest; every function names the field that it reads.
class PackageReader {
 public:
  PackageReader(Package& package, const char* place) : package_(package), place_(place) {}

  Status read(const Json& root) {
    if (!root.is(Json::Type::object)) return wrong("the manifest", "an object", root);
    const Json* version = root.find("schema_version");
    if (version == nullptr) return missing("schema_version", "1");
    KEDGE_TRY(const std::uint64_t number, version->uint(place_, "schema_version"));
    if (number != 1)
      return fail(Code::unsupported, place_, "schema_version: expected 1, found %llu",
                  static_cast<unsigned long long>(number));
    KEDGE_CHECK(text(root, "", "model_id", package_.model_id_));
    KEDGE_CHECK(text(root, "", "format", package_.format_));
    if (const Json* source = root.find("source_model")) KEDGE_CHECK(source_model(*source));
    if (const Json* generation = root.find("generation")) {
      if (!generation->is(Json::Type::object)) return wrong("generation", "an object", *generation);
      if (const Json* decoding = generation->find("speculative_decoding"))
        KEDGE_CHECK(speculative_decoding(*decoding));
    }
    return {};
  }

 private:
  Status wrong(const std::string& field, const char* expected, const Json& found) const {
    return fail(Code::malformed, place_, "%s: expected %s, found %s", field.c_str(), expected,
                found.type_name());
  }
  Status missing(const std::string& field, const char* expected) const {
    return fail(Code::malformed, place_, "%s: expected %s, it is missing", field.c_str(), expected);
  }
  // Null counts as absent.
  static const Json* member(const Json& object, const char* name) {
    const Json* found = object.find(name);
    return found != nullptr && found->is(Json::Type::null) ? nullptr : found;
  }
  Status text(const Json& object, const std::string& path, const char* name,
              std::string& value) const {
    const Json* found = member(object, name);
    if (found == nullptr) return {};
    KEDGE_TRY(const std::string_view view, found->string(place_, (path + name).c_str()));
    value = view;
    return {};
  }
  Status hash(const Json& object, const std::string& path, const char* name,
              std::string& value) const {
    KEDGE_CHECK(text(object, path, name, value));
    if (!value.empty() && !is_sha256(value))
      return fail(Code::malformed, place_, "%s%s: expected 64 hexadecimal digits, found \"%.80s\"",
                  path.c_str(), name, value.c_str());
    std::transform(value.begin(), value.end(), value.begin(),
                   [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
    return {};
  }
  Status file(const Json& object, const std::string& path, PackageFile& value) const {
    if (!object.is(Json::Type::object)) return wrong(path, "an object", object);
    KEDGE_CHECK(text(object, path + ".", "path", value.path));
    if (!value.path.empty() && !stays_inside(value.path))
      return fail(Code::malformed, place_,
                  "%s.path: expected a path inside the package, found \"%.200s\"", path.c_str(),
                  value.path.c_str());
    KEDGE_CHECK(hash(object, path + ".", "sha256", value.sha256));
    if (const Json* size = member(object, "size_bytes")) {
      KEDGE_TRY(value.size, size->uint(place_, (path + ".size_bytes").c_str()));
    }
    return {};
  }
  Status source_model(const Json& source) {
    KEDGE_CHECK(file(source, "source_model", package_.model_));
    if (package_.model_.path.empty()) {
      KEDGE_CHECK(text(source, "source_model.", "primary_file", package_.model_.path));
      if (!package_.model_.path.empty() && !stays_inside(package_.model_.path))
        return fail(Code::malformed, place_,
                    "source_model.primary_file: expected a path inside the package, found "
                    "\"%.200s\"",
                    package_.model_.path.c_str());
    }
    const Json* list = member(source, "files");
    if (list == nullptr) return {};
    if (!list->is(Json::Type::array)) return wrong("source_model.files", "an array", *list);
    for (std::size_t i = 0; i < list->items().size(); ++i) {
      const std::string path = "source_model.files[" + std::to_string(i) + "]";
      PackageFile one;
      KEDGE_CHECK(file(list->items()[i], path, one));
      if (one.path.empty()) return missing(path + ".path", "a path");
      package_.files_.push_back(std::move(one));
    }
    return {};
  }
  Status speculative_decoding(const Json& decoding) {
    const std::string path = "generation.speculative_decoding";
    if (!decoding.is(Json::Type::object)) return wrong(path, "an object", decoding);
    const Json* strategies = member(decoding, "strategies");
    if (strategies == nullptr) return missing(path + ".strategies", "an object");
    if (!strategies->is(Json::Type::object))
      return wrong(path + ".strategies", "an object", *strategies);
    for (const auto& [name, value] : strategies->members()) {
      if (name.empty())
        return fail(Code::malformed, place_, "%s.strategies: a strategy has an empty name",
                    path.c_str());
      DraftStrategy one;
      one.name = name;
      KEDGE_CHECK(strategy(value, path + ".strategies." + name, one));
      package_.strategies_.push_back(std::move(one));
    }
    KEDGE_CHECK(text(decoding, path + ".", "default", package_.default_));
    if (member(decoding, "default") != nullptr && package_.default_strategy() == nullptr)
      return fail(Code::malformed, place_, "%s.default: there is no strategy \"%.100s\"",
                  path.c_str(), package_.default_.c_str());
    return {};
  }
  Status strategy(const Json& value, const std::string& path, DraftStrategy& one) const {
    if (!value.is(Json::Type::object)) return wrong(path, "an object", value);
    std::string type;
    KEDGE_CHECK(text(value, path + ".", "type", type));
    if (type == "draft-model") one.type = DraftStrategy::Type::draft_model;
    else if (type == "ngram") one.type = DraftStrategy::Type::ngram;
    else
      return fail(Code::malformed, place_,
                  "%s.type: expected draft-model or ngram, found \"%.80s\"", path.c_str(),
                  type.c_str());
    KEDGE_CHECK(text(value, path + ".", "draft_model", one.draft_model));
    if (one.type == DraftStrategy::Type::draft_model && one.draft_model.empty())
      return missing(path + ".draft_model", "the name of a model");
    KEDGE_CHECK(text(value, path + ".", "model_family", one.model_family));
    if (const Json* identity = member(value, "identity")) {
      if (!identity->is(Json::Type::object))
        return wrong(path + ".identity", "an object", *identity);
      KEDGE_CHECK(
          hash(*identity, path + ".identity.", "source_model_sha256", one.source_model_sha256));
      if (!one.source_model_sha256.empty() && !package_.model_.sha256.empty() &&
          one.source_model_sha256 != package_.model_.sha256)
        return fail(Code::malformed, place_,
                    "%s.identity.source_model_sha256: made for another model: expected "
                    "source_model.sha256 %.16s..., found %.16s...",
                    path.c_str(), package_.model_.sha256.c_str(), one.source_model_sha256.c_str());
    }
    const Json* policy = member(value, "window_policy");
    if (policy == nullptr) return {};
    one.window.emplace();
    return window(*policy, path + ".window_policy", *one.window);
  }
  Status length(const Json& object, const std::string& path, const char* name,
                std::int64_t& value) const {
    const Json* found = member(object, name);
    if (found == nullptr) return {};
    const std::string field = path + "." + name;
    KEDGE_TRY(const std::uint64_t number, found->uint(place_, field.c_str()));
    if (number < 1)
      return fail(Code::malformed, place_, "%s: expected 1 or more, found 0", field.c_str());
    value = static_cast<std::int64_t>(std::min<std::uint64_t>(number, 1u << 20));
    return {};
  }
  Status lengths(const Json& object, const std::string& path, WindowPolicy& window) const {
    KEDGE_CHECK(length(object, path, "initial_window", window.initial));
    KEDGE_CHECK(length(object, path, "min_window", window.min));
    return length(object, path, "max_window", window.max);
  }
  Status window(const Json& policy, const std::string& path, WindowPolicy& window) const {
    if (!policy.is(Json::Type::object)) return wrong(path, "an object", policy);
    std::string kind = "adaptive";
    KEDGE_CHECK(text(policy, path + ".", "default", kind));
    if (kind == "adaptive") window.kind = WindowPolicy::Kind::adaptive;
    else if (kind == "fixed") window.kind = WindowPolicy::Kind::fixed;
    else if (kind == "best") window.kind = WindowPolicy::Kind::best;
    else
      return fail(Code::malformed, place_,
                  "%s.default: expected adaptive, fixed or best, found \"%.80s\"", path.c_str(),
                  kind.c_str());
    KEDGE_CHECK(lengths(policy, path, window));
    KEDGE_CHECK(length(policy, path, "fixed_default_window", window.fixed));
    if (const Json* adaptive = member(policy, "adaptive")) {
      if (!adaptive->is(Json::Type::object))
        return wrong(path + ".adaptive", "an object", *adaptive);
      if (const Json* supported = member(*adaptive, "supported")) {
        KEDGE_TRY(const bool yes,
                  supported->boolean(place_, (path + ".adaptive.supported").c_str()));
        if (!yes && window.kind == WindowPolicy::Kind::adaptive)
          return fail(Code::malformed, place_,
                      "%s.adaptive.supported: false, and the default is adaptive", path.c_str());
      }
      KEDGE_CHECK(lengths(*adaptive, path + ".adaptive", window));
    }
    const auto above = [&](const char* a, std::int64_t x, const char* b, std::int64_t y) -> Status {
      if (x == 0 || y == 0 || x <= y) return {};
      return fail(Code::malformed, place_, "%s.%s: expected at most %s %lld, found %lld",
                  path.c_str(), a, b, static_cast<long long>(y), static_cast<long long>(x));
    };
    KEDGE_CHECK(above("min_window", window.min, "max_window", window.max));
    KEDGE_CHECK(above("min_window", window.min, "initial_window", window.initial));
    return above("initial_window", window.initial, "max_window", window.max);
  }

  Package& package_;
  const char* place_;
};

WindowPolicy::Bounds WindowPolicy::bounds() const noexcept {
  const auto within = [](std::int64_t x) { return std::clamp<std::int64_t>(x, 1, longest_window); };
  const std::int64_t most = within(max > 0 ? max : std::max<std::int64_t>({initial, fixed, 16}));
  const std::int64_t least = std::min(within(min), most);
  const std::int64_t first = std::clamp(initial > 0 ? initial : 4, least, most);
  return {first, least, most, within(fixed > 0 ? fixed : initial > 0 ? initial : most)};
}

Result<Package> Package::parse(const Source& source) noexcept try {
  if (source.size() > longest_manifest)
    return fail(Code::malformed, source.name(), "a manifest of %llu bytes: expected at most %llu",
                static_cast<unsigned long long>(source.size()),
                static_cast<unsigned long long>(longest_manifest));
  KEDGE_TRY(const TensorBytes bytes, source.load(0, source.size()));
  Json::Limits limits;
  limits.depth = deepest;
  limits.values = std::size_t{1} << 20;
  KEDGE_TRY(const Json root, Json::parse({reinterpret_cast<const char*>(bytes.data), bytes.size},
                                         source.name(), limits));
  Package package;
  package.name_ = source.name();
  KEDGE_CHECK(PackageReader(package, source.name()).read(root));
  return package;
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, source.name(), "no memory for the manifest");
}

const DraftStrategy* Package::default_strategy() const noexcept {
  if (default_.empty()) return nullptr;
  const auto found = std::find_if(strategies_.begin(), strategies_.end(),
                                  [&](const DraftStrategy& s) { return s.name == default_; });
  return found == strategies_.end() ? nullptr : &*found;
}

Result<const DraftStrategy*> Package::strategy(std::string_view name) const noexcept {
  if (name.empty() || name == "default") return default_strategy();
  for (const DraftStrategy& one : strategies_)
    if (one.name == name) return &one;
  return fail(Code::not_found, name_.c_str(),
              "generation.speculative_decoding.strategies: there is no strategy \"%.*s\"%s%s",
              static_cast<int>(std::min<std::size_t>(name.size(), 100)), name.data(),
              strategies_.empty() ? "" : "; the first is ",
              strategies_.empty() ? "" : strategies_.front().name.c_str());
}

Status check_file(const Source& file, const PackageFile& expected, const char* field) noexcept {
  if (expected.size && *expected.size != file.size())
    return fail(Code::malformed, file.name(), "%s.size_bytes: expected %llu, the file has %llu",
                field, static_cast<unsigned long long>(*expected.size),
                static_cast<unsigned long long>(file.size()));
  if (expected.sha256.empty()) return {};
  constexpr std::uint64_t step = 1u << 20;
  KEDGE_TRY(const Buffer buffer, Buffer::create(step, "sha256"));
  Sha256 hash;
  for (std::uint64_t at = 0; at < file.size(); at += step) {
    const auto count = static_cast<std::size_t>(std::min(step, file.size() - at));
    KEDGE_CHECK(file.read(at, {buffer.data(), count}));
    hash.add({buffer.data(), count});
  }
  const std::array<char, 65> found = hash.hex();
  if (expected.sha256 != found.data())
    return fail(Code::malformed, file.name(), "%s.sha256: expected %s, the file has %s", field,
                expected.sha256.c_str(), found.data());
  return {};
}

std::optional<DraftReference> DraftReference::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos || slash == 0 || text.find('/', slash + 1) != text.npos) return {};
  if (text.front() == '.' || text.ends_with(".gguf")) return {};
  DraftReference reference;
  reference.owner = text.substr(0, slash);
  const std::string_view rest = text.substr(slash + 1);
  const std::size_t colon = rest.find(':');
  reference.repository = rest.substr(0, colon);
  if (colon != rest.npos) reference.quantization = rest.substr(colon + 1);
  if (reference.repository.empty()) return {};
  return reference;
}

}  // namespace kedge::inline KEDGE_ABI::io
