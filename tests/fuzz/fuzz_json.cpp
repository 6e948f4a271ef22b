#include "fuzz/entries.hpp"
#include "io/json.hpp"

namespace {

using kedge::io::Json;

std::size_t walk(const Json& json) {
  [[maybe_unused]] const auto integer = json.uint("fuzz", "value");
  [[maybe_unused]] const auto number = json.number("fuzz", "value");
  [[maybe_unused]] const auto flag = json.boolean("fuzz", "value");
  std::size_t count = 1;
  if (const auto text = json.string("fuzz", "value"))
    count += kedge::io::json_quoted(*text, "fuzz") ? 1u : 0u;
  for (const Json& item : json.items()) count += walk(item);
  for (const auto& [name, value] : json.members()) {
    if (json.find(name) != &value) __builtin_trap();
    count += walk(value);
  }
  return count;
}

}  // namespace

int fuzz_json(const std::uint8_t* data, std::size_t size) {
  const Json::Limits limits{std::size_t{1} << 20, 32, std::size_t{1} << 16};
  const auto json = Json::parse({reinterpret_cast<const char*>(data), size}, "fuzz", limits);
  if (json && walk(*json) == 0) __builtin_trap();
  return 0;
}
