#include "fuzz/entries.hpp"
#include "model/folder.hpp"

int fuzz_folder_index(const std::uint8_t* data, std::size_t size) {
  using namespace kedge;
  const auto index = folder::read_index({reinterpret_cast<const char*>(data), size},
                                        "model.safetensors.index.json");
  if (!index) return 0;
  for (const folder::Index::Entry& entry : index->entries)
    if (entry.file >= index->files.size()) __builtin_trap();
  for (const std::string& name : index->files)
    if (name.empty() || name == ".." || name.find('/') != std::string::npos) __builtin_trap();
  return 0;
}
