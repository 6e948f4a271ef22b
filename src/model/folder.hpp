// The JSON files of a Hugging Face folder. Private to the compiled library; these functions throw
// what std containers throw.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kedge/io/safetensors.hpp"
#include "kedge/model/config.hpp"

namespace kedge::inline KEDGE_ABI {

// The whole source as text; Code::malformed above `longest` bytes.
Result<std::string> read_text(const io::Source& source, std::size_t longest);

namespace folder {

// Published ones have a few kilobytes and at most a few megabytes.
constexpr std::size_t longest_config = std::size_t{1} << 20;
constexpr std::size_t longest_index = std::size_t{64} << 20;

// model.safetensors.index.json: which file has which tensor.
struct Index {
  struct Entry {
    std::string tensor;
    std::size_t file;  // of `files`
  };
  std::vector<std::string> files;  // names without a folder, each once, in ascending order
  std::vector<Entry> entries;
};
Result<Index> read_index(std::string_view text, const char* place);
// Whether files (in the index's order) have the tensors that the index says, and no others.
Status check_index(const Index& index, std::span<const io::Safetensors> files, const char* place);

}  // namespace folder
}  // namespace kedge::inline KEDGE_ABI
