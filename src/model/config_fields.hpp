// Reading configurations key by key: what is wrong is an error that names the file and the key.
// Private to the compiled library; these functions throw what std containers throw.
#pragma once

#include <string>

#include "io/json.hpp"
#include "io/shown.hpp"
#include "kedge/io/gguf.hpp"

namespace kedge::inline KEDGE_ABI {

// An object of the file; errors name the file and the key.
class Fields {
 public:
  Fields(const io::Json& object, const char* place, std::string prefix = "")
      : object_(object), place_(place), prefix_(std::move(prefix)) {}
  const char* place() const { return place_; }
  std::string full(const char* key) const { return prefix_ + key; }

  // Null when absent; published files write null for "the default".
  const io::Json* find(const char* key) const {
    const io::Json* value = object_.find(key);
    return value == nullptr || value->is(io::Json::Type::null) ? nullptr : value;
  }
  Result<const io::Json*> need(const char* key) const {
    if (const io::Json* value = find(key)) return value;
    return fail(Code::malformed, place_, "%s: expected a value, found none", full(key).c_str());
  }
  Result<std::int64_t> count(const char* key, std::int64_t most) const {
    KEDGE_TRY(const io::Json* value, need(key));
    KEDGE_TRY(const std::uint64_t number, value->uint(place_, full(key).c_str()));
    if (number < 1 || number > static_cast<std::uint64_t>(most))
      return fail(Code::malformed, place_, "%s: expected 1..%lld, found %llu", full(key).c_str(),
                  static_cast<long long>(most), static_cast<unsigned long long>(number));
    return static_cast<std::int64_t>(number);
  }
  Result<std::int64_t> count_or(const char* key, std::int64_t most, std::int64_t other) const {
    if (find(key) == nullptr) return other;
    return count(key, most);
  }
  Result<double> number(const char* key) const {
    KEDGE_TRY(const io::Json* value, need(key));
    return value->number(place_, full(key).c_str());
  }
  Result<double> number_or(const char* key, double other) const {
    if (find(key) == nullptr) return other;
    return number(key);
  }
  Result<bool> flag_or(const char* key, bool other) const {
    const io::Json* value = find(key);
    if (value == nullptr) return other;
    return value->boolean(place_, full(key).c_str());
  }
  Result<std::string_view> text_or(const char* key, std::string_view other) const {
    const io::Json* value = find(key);
    if (value == nullptr) return other;
    return value->string(place_, full(key).c_str());
  }
  // An object, or null when absent.
  Result<const io::Json*> object_or_null(const char* key) const {
    const io::Json* value = find(key);
    if (value != nullptr && !value->is(io::Json::Type::object))
      return fail(Code::malformed, place_, "%s: expected an object, found %s", full(key).c_str(),
                  value->type_name());
    return value;
  }
  Unexpected unsupported(const char* key, const char* expected, std::string_view found) const {
    return fail(Code::unsupported, place_, "%s: expected %s, found %s", full(key).c_str(), expected,
                io::Shown(found).text());
  }

 private:
  const io::Json& object_;
  const char* place_;
  std::string prefix_;
};

// A key of the architecture, "llama.block_count"; errors name the file and the key.
class Keys {
 public:
  Keys(const io::Gguf& file, std::string_view architecture) : file_(file), prefix_(architecture) {
    prefix_ += '.';
  }
  const char* place() const { return file_.source().name(); }
  std::string full(const char* key) const { return prefix_ + key; }
  bool has(const char* key) const { return file_.find(full(key)) != nullptr; }

  Result<std::int64_t> count(const char* key, std::int64_t most) const {
    const std::string name = full(key);
    KEDGE_TRY(const std::uint64_t value, file_.uint(name));
    if (value < 1 || value > static_cast<std::uint64_t>(most))
      return fail(Code::malformed, place(), "%s: expected 1..%lld, found %llu", name.c_str(),
                  static_cast<long long>(most), static_cast<unsigned long long>(value));
    return static_cast<std::int64_t>(value);
  }
  Result<std::int64_t> count_or(const char* key, std::int64_t most, std::int64_t other) const {
    if (!has(key)) return other;
    return count(key, most);
  }
  Result<double> number_or(const char* key, double other) const {
    if (!has(key)) return other;
    return file_.number(full(key));
  }
  // A key that would change what is computed: absent or 0.
  Status expect_none(const char* key, const char* what) const {
    if (!has(key)) return {};
    KEDGE_TRY(const double value, file_.number(full(key)));
    if (value == 0) return {};
    return fail(Code::unsupported, place(), "%s: %s is not supported, found %g", full(key).c_str(),
                what, value);
  }
  const io::Gguf& file() const { return file_; }

 private:
  const io::Gguf& file_;
  std::string prefix_;
};

}  // namespace kedge::inline KEDGE_ABI
