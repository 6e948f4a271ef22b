// ModelFiles: the files of one model, whatever their format: a GGUF file, its shards, or a folder
// with config.json and safetensors. All that loading needs to know of the format is here: every
// tensor by name, with its shape, its element and the source that has its bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kedge/io/gguf.hpp"
#include "kedge/io/safetensors.hpp"

namespace kedge::inline KEDGE_ABI {

struct FileTensor {
  std::string name;
  const char* type = "";                  // as the format calls it: "Q4_K", "BF16"
  bool supported = false;                 // whether `element` says what it is
  Element element = Element::f32;         // when supported
  std::uint8_t rank = 0;                  // at most 4
  std::int64_t extent[4] = {1, 1, 1, 1};  // outermost first
  std::uint64_t offset = 0, bytes = 0;    // in `source`
  const io::Source* source = nullptr;
};

// The tensors of some files, by name. It borrows the files' sources.
class KEDGE_API TensorDirectory {
 public:
  Status add(const io::Gguf& file) noexcept;
  Status add(const io::Safetensors& file) noexcept;
  // After the last file: makes find() work. Code::malformed when two files have the same tensor.
  Status finish() noexcept;

  const std::vector<FileTensor>& tensors() const noexcept { return tensors_; }
  const FileTensor* find(std::string_view name) const noexcept;  // null when absent

 private:
  std::vector<FileTensor> tensors_;  // in the files' order
  std::vector<std::uint32_t> by_name_;
};

class KEDGE_API ModelFiles {
 public:
  // A GGUF file, any shard of a sharded one (NAME-00001-of-00003.gguf), or a folder. Files are
  // read, not mapped: one that another program shortens meanwhile is an error instead of a fault.
  static Result<ModelFiles> open(const char* path) noexcept;
  // One source, or all shards in any order.
  static Result<ModelFiles> from_gguf(std::vector<io::Source> shards) noexcept;
  // The text of config.json and all safetensors files of the folder.
  static Result<ModelFiles> from_folder(io::Source config,
                                        std::vector<io::Source> safetensors) noexcept;

  const char* name() const noexcept { return name_; }  // for errors
  const TensorDirectory& tensors() const noexcept { return tensors_; }
  // The first shard, which has the metadata; null for a folder.
  const io::Gguf* gguf() const noexcept { return gguf_.empty() ? nullptr : gguf_.data(); }
  std::size_t files() const noexcept { return gguf_.size() + safetensors_.size(); }
  // The folder's config.json, whole; empty for GGUF.
  std::string_view config_json() const noexcept { return config_; }

 private:
  ModelFiles() noexcept = default;
  static Result<ModelFiles> open_folder(const char* path);
  Status index();

  char name_[128] = {};
  std::vector<io::Gguf> gguf_;
  std::vector<io::Safetensors> safetensors_;
  std::string config_;
  TensorDirectory tensors_;
};

}  // namespace kedge::inline KEDGE_ABI
