// The curves of other programs in a report: measured through a llama-bench, or read from a file.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace kedge::tools {

// "llama.cpp=/opt/llama.cpp/bin/llama-bench": runs PATH, which must understand llama-bench's
// options and its JSON (llama.cpp's and ik_llama.cpp's do), over `model`. {"name": ..., "points":
// [{"n", "ms"}]}. Its passes want the logits of their last row alone, which flatters wide ones.
nlohmann::json measure_peer(const std::string& named_path, const std::string& model,
                            std::int64_t context, unsigned threads);

// A file with such curves: [{"peer", "model", "context", "points": [{"n", "ms"}]}].
nlohmann::json read_json_file(const std::string& path);

}  // namespace kedge::tools
