#include <algorithm>
#include <numeric>

#include "io/json.hpp"

// Its own consistency checks would end the process; what a file can do wrong it reports as an
// event.
#define JSON_ASSERT(condition) static_cast<void>(0)
#include <nlohmann/json.hpp>

#include "io/shown.hpp"

namespace kedge::inline KEDGE_ABI::io {

// Receives nlohmann's parse events. Returning false stops the parser; failure_ then says why.
class JsonBuilder {
 public:
  JsonBuilder(const char* place, const Json::Limits& limits) : place_(place), limits_(limits) {}

  bool null() { return add(Json::Type::null) != nullptr; }
  bool boolean(bool value) {
    Json* json = add(Json::Type::boolean);
    if (json != nullptr) json->number_ = value;
    return json != nullptr;
  }
  bool number_integer(std::int64_t value) {
    Json* json = add(Json::Type::integer);
    if (json == nullptr) return false;
    json->negative_ = value < 0;
    json->number_ = static_cast<std::uint64_t>(value);
    return true;
  }
  bool number_unsigned(std::uint64_t value) {
    Json* json = add(Json::Type::integer);
    if (json != nullptr) json->number_ = value;
    return json != nullptr;
  }
  bool number_float(double value, const std::string&) {
    Json* json = add(Json::Type::real);
    if (json != nullptr) json->real_ = value;
    return json != nullptr;
  }
  bool string(std::string& value) {
    Json* json = add(Json::Type::string);
    if (json != nullptr) json->text_ = std::move(value);
    return json != nullptr;
  }
  bool binary(std::vector<std::uint8_t>&) { return stop("binary data is not JSON"); }
  bool start_object(std::size_t) { return open(Json::Type::object); }
  bool start_array(std::size_t) { return open(Json::Type::array); }
  bool end_array() { return close(); }
  bool end_object() {
    const auto& members = stack_.back()->members_;
    std::vector<std::size_t> order(members.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return members[a].first < members[b].first; });
    for (std::size_t i = 1; i < order.size(); ++i)
      if (members[order[i - 1]].first == members[order[i]].first) {
        failure_ =
            fail(Code::malformed, place_, "JSON: expected the name '%s' once, found it twice",
                 Shown(members[order[i]].first).text());
        return false;
      }
    return close();
  }
  bool key(std::string& name) {
    stack_.back()->members_.emplace_back(std::move(name), Json());
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
    failure_ = fail(Code::malformed, place_, "JSON: unexpected text at byte %zu", position);
    return false;
  }

  Json& root() noexcept { return root_; }
  const Unexpected& failure() const noexcept { return failure_; }

 private:
  bool stop(const char* reason) {
    failure_ = fail(Code::malformed, place_, "JSON: %s", reason);
    return false;
  }
  // The place of the next value: the root, the last array's end or the last member.
  Json* add(Json::Type type) {
    if (++values_ > limits_.values) {
      failure_ = fail(Code::malformed, place_, "JSON: expected at most %zu values, found more",
                      limits_.values);
      return nullptr;
    }
    Json* json = &root_;
    if (!stack_.empty()) {
      Json& parent = *stack_.back();
      json = parent.type_ == Json::Type::array ? &parent.items_.emplace_back()
                                               : &parent.members_.back().second;
    }
    json->type_ = type;
    return json;
  }
  bool open(Json::Type type) {
    if (stack_.size() >= static_cast<std::size_t>(limits_.depth)) {
      failure_ = fail(Code::malformed, place_, "JSON: expected a depth of at most %d, found more",
                      limits_.depth);
      return false;
    }
    Json* json = add(type);
    if (json == nullptr) return false;
    // Stays valid: a container grows only while it is the innermost one.
    stack_.push_back(json);
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }

  const char* place_;
  Json::Limits limits_;
  Json root_;
  std::vector<Json*> stack_;
  std::size_t values_ = 0;
  Unexpected failure_{};
};

Result<Json> Json::parse(std::string_view text, const char* place, const Limits& limits) {
  if (text.size() > limits.bytes)
    return fail(Code::malformed, place, "JSON: expected at most %zu bytes, found %zu", limits.bytes,
                text.size());
  JsonBuilder builder(place, limits);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) return builder.failure();
  return std::move(builder.root());
}

}  // namespace kedge::inline KEDGE_ABI::io
