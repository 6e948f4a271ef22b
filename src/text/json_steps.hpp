// The parts of a tokenizer.json that come before and after the model.
#pragma once

#include "definition.hpp"
#include "json_reader.hpp"

namespace kedge::inline KEDGE_ABI::text {

Status read_normalizer(const JsonReader& in, Normalizer& normalizer);
// byte_level: it has ByteLevel, which is its last step.
Status read_pre_tokenizer(const JsonReader& in, PreTokenizer& pre, bool& byte_level);
// Sets what decoding needs: marks_space and strip_space. byte_level is set already.
Status read_decoder(const JsonReader& in, Definition& definition);
// The ids before a text; anything else that it adds is an error.
Status read_post_processor(const JsonReader& in, std::vector<std::int32_t>& prefix);

}  // namespace kedge::inline KEDGE_ABI::text
