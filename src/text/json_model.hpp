// The model and the added tokens of a tokenizer.json.
#pragma once

#include <string_view>
#include <unordered_map>

#include "definition.hpp"
#include "json_reader.hpp"

namespace kedge::inline KEDGE_ABI::text {

// Tokens by their text, views into the JSON.
using JsonIds = std::unordered_map<std::string_view, std::int32_t>;

// `root` is the whole file, which must outlive `ids`. Fills texts, types, added and the model's own
// parts of the definition, whose byte_level is set already.
Status read_model(const JsonReader& root, Definition& definition, JsonIds& ids);

}  // namespace kedge::inline KEDGE_ABI::text
