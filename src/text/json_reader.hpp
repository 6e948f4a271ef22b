// Reads of a JSON object's members that name the member in their errors.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/json.hpp"

namespace kedge::inline KEDGE_ABI::text {

class JsonReader {
 public:
  // `file` and `path` ("pre_tokenizer[1]", or nothing for the root) appear in errors.
  JsonReader(const io::Json& json, const char* file, std::string path)
      : json_(json), file_(file), path_(std::move(path)) {}

  const io::Json& json() const noexcept { return json_; }
  const char* file() const noexcept { return file_; }
  const std::string& path() const noexcept { return path_; }
  std::string path_of(std::string_view member) const {
    return path_.empty() ? std::string(member) : path_ + "." + std::string(member);
  }
  // Null when it is not there or null.
  const io::Json* find(std::string_view member) const noexcept {
    const io::Json* found = json_.find(member);
    return found == nullptr || found->is(io::Json::Type::null) ? nullptr : found;
  }
  Result<const io::Json*> need(std::string_view member) const {
    const io::Json* found = find(member);
    if (found == nullptr)
      return fail(Code::malformed, file_, "%s is missing", path_of(member).c_str());
    return found;
  }
  Result<std::string_view> string(std::string_view member) const {
    KEDGE_TRY(const io::Json* found, need(member));
    return found->string(file_, path_of(member).c_str());
  }
  Result<bool> boolean(std::string_view member) const {
    KEDGE_TRY(const io::Json* found, need(member));
    return found->boolean(file_, path_of(member).c_str());
  }
  Result<bool> boolean(std::string_view member, bool otherwise) const {
    if (find(member) == nullptr) return otherwise;
    return boolean(member);
  }
  // An id: 0 to 2^31 - 1.
  Result<std::int32_t> id(const io::Json& value, std::string_view member) const {
    const std::string what = path_of(member);
    KEDGE_TRY(const std::uint64_t number, value.uint(file_, what.c_str()));
    if (number > 0x7FFFFFFF) {
      return fail(Code::malformed, file_, "%s: %llu is out of range", what.c_str(),
                  static_cast<unsigned long long>(number));
    }
    return static_cast<std::int32_t>(number);
  }
  Result<const std::vector<io::Json>*> array(std::string_view member) const {
    KEDGE_TRY(const io::Json* found, need(member));
    if (!found->is(io::Json::Type::array)) {
      return fail(Code::malformed, file_, "%s: expected an array, found %s",
                  path_of(member).c_str(), found->type_name());
    }
    return &found->items();
  }
  // One that begins where this one's `member`, or its n-th element, is.
  JsonReader at(const io::Json& json, std::string_view member) const {
    return {json, file_, path_of(member)};
  }
  JsonReader at(const io::Json& json, std::string_view member, std::size_t n) const {
    return {json, file_, path_of(member) + "[" + std::to_string(n) + "]"};
  }
  Unexpected unsupported(std::string_view what) const {
    return fail(Code::unsupported, file_, "%s: %.*s is not supported", path_.c_str(),
                static_cast<int>(std::min<std::size_t>(what.size(), 200)), what.data());
  }

 private:
  const io::Json& json_;
  const char* file_;
  std::string path_;
};

}  // namespace kedge::inline KEDGE_ABI::text
