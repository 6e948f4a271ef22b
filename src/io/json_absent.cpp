// In place of json_parse.cpp in a build without nlohmann-json (KEDGE_JSON=OFF): GGUF files and
// their tokenizers need no JSON; Hugging Face folders and tokenizer.json do.
#include "io/json.hpp"

namespace kedge::inline KEDGE_ABI::io {

Result<Json> Json::parse(std::string_view, const char* place, const Limits&) {
  return fail(Code::unsupported, place,
              "this Kedge was built without JSON; configure it with -DKEDGE_JSON=ON, which needs "
              "nlohmann-json, or use a GGUF file");
}

}  // namespace kedge::inline KEDGE_ABI::io
