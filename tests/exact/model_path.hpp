// Where tests with a real model look for it: $KEDGE_MODEL, else models/ in the source folder.
#pragma once

#include <cstdlib>
#include <string>

namespace kedge::tests {

inline std::string real_model_path() {
  if (const char* path = std::getenv("KEDGE_MODEL"); path != nullptr) return path;
  return KEDGE_SOURCE_DIR "/models/SmolLM2-135M-Instruct.Q4_1.gguf";
}

}  // namespace kedge::tests
