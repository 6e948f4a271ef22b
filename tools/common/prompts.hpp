// The prompts that `check` and `bench decode` share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/model_file.hpp"

namespace kedge::tools {

struct Prompt {
  std::string name;
  std::vector<std::int32_t> tokens;
};

// The first three: an edit of code (a drafter that copies wins), a question in a chat, and words
// without repetition (it loses); then shorter ones. Through the tokenizer and chat template as far
// as the file has them; beyond 20, and all of them without a tokenizer, token numbers by fixed
// seeds.
std::vector<Prompt> built_in_prompts(const ModelFile& file, std::int64_t count);

// `count` pseudo-random tokens in order of nothing; without repetition of longer runs.
std::vector<std::int32_t> synthetic_tokens(std::int64_t vocabulary, std::int64_t count,
                                           std::uint64_t seed);

}  // namespace kedge::tools
