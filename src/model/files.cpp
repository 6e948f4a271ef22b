#include "kedge/model/files.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <string>

#include "io/guarded.hpp"
#include "io/shown.hpp"
#include "kedge/io/gguf_shards.hpp"
#include "model/folder.hpp"

namespace kedge::inline KEDGE_ABI {

using io::guarded;
using io::Shown;

namespace {

FileTensor describe(const io::GgufTensor& t, const io::Source& source) {
  FileTensor f;
  f.name = t.name;
  f.type = io::ggml_type(t.type).name;
  f.supported = t.supported;
  f.element = t.element;
  f.rank = t.rank;
  std::copy(t.extent, t.extent + 4, f.extent);
  f.offset = t.offset;
  f.bytes = t.bytes;
  f.source = &source;
  return f;
}

FileTensor describe(const io::SafeTensor& t, const io::Source& source) {
  FileTensor f;
  f.name = t.name;
  f.type = io::to_string(t.type);
  const auto is = [&](io::SafeType type, Element element) {
    if (t.type != type) return;
    f.supported = true;
    f.element = element;
  };
  is(io::SafeType::f32, Element::f32);
  is(io::SafeType::f16, Element::f16);
  is(io::SafeType::bf16, Element::bf16);
  if (t.shape.size() > 4) f.supported = false;
  f.rank = static_cast<std::uint8_t>(std::min<std::size_t>(t.shape.size(), 4));
  std::copy_n(t.shape.begin(), f.rank, f.extent);
  f.offset = t.offset;
  f.bytes = t.bytes;
  f.source = &source;
  return f;
}

}  // namespace

Status TensorDirectory::add(const io::Gguf& file) noexcept {
  return guarded(file.source().name(), [&]() -> Status {
    for (const io::GgufTensor& t : file.tensors()) tensors_.push_back(describe(t, file.source()));
    return {};
  });
}

Status TensorDirectory::add(const io::Safetensors& file) noexcept {
  return guarded(file.source().name(), [&]() -> Status {
    for (const io::SafeTensor& t : file.tensors()) tensors_.push_back(describe(t, file.source()));
    return {};
  });
}

Status TensorDirectory::finish() noexcept {
  return guarded("tensors", [&]() -> Status {
    by_name_.resize(tensors_.size());
    std::iota(by_name_.begin(), by_name_.end(), 0u);
    std::sort(by_name_.begin(), by_name_.end(), [&](std::uint32_t a, std::uint32_t b) {
      return tensors_[a].name < tensors_[b].name;
    });
    for (std::size_t i = 1; i < by_name_.size(); ++i) {
      const FileTensor &a = tensors_[by_name_[i - 1]], &b = tensors_[by_name_[i]];
      if (a.name == b.name)
        return fail(Code::malformed, b.source->name(), "tensor '%s' is in %s too",
                    Shown(b.name).text(), a.source->name());
    }
    return {};
  });
}

const FileTensor* TensorDirectory::find(std::string_view name) const noexcept {
  const auto at = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [&](std::uint32_t index, std::string_view text) { return tensors_[index].name < text; });
  return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
}

Status ModelFiles::index() {
  for (const io::Gguf& file : gguf_) KEDGE_CHECK(tensors_.add(file));
  for (const io::Safetensors& file : safetensors_) KEDGE_CHECK(tensors_.add(file));
  return tensors_.finish();
}

Result<ModelFiles> ModelFiles::open(const char* path) noexcept {
  char place[128];
  os::shorten_path(path, place);
  return guarded(place, [&]() -> Result<ModelFiles> {
    if (os::is_directory(path)) return open_folder(path);
    ModelFiles files;
    os::shorten_path(path, files.name_);
    KEDGE_TRY(files.gguf_, io::open_gguf_shards(path));
    KEDGE_CHECK(files.index());
    return files;
  });
}

Result<ModelFiles> ModelFiles::open_folder(const char* path) {
  const std::string folder = std::string(path) + '/';
  ModelFiles files;
  os::shorten_path(path, files.name_);
  KEDGE_TRY(const io::Source config, io::Source::open((folder + "config.json").c_str()));
  KEDGE_TRY(files.config_, read_text(config, folder::longest_config));
  std::vector<std::string> names;
  auto single = io::Source::open((folder + "model.safetensors").c_str());
  if (single) {
    KEDGE_TRY(io::Safetensors file, io::Safetensors::open(*std::move(single)));
    files.safetensors_.push_back(std::move(file));
    KEDGE_CHECK(files.index());
    return files;
  }
  if (single.error().code != Code::not_found) return unexpected(single.error());
  const std::string index = folder + "model.safetensors.index.json";
  auto source = io::Source::open(index.c_str());
  if (!source && source.error().code == Code::not_found)
    return fail(Code::not_found, files.name_,
                "expected model.safetensors or model.safetensors.index.json, found neither");
  if (!source) return unexpected(source.error());
  KEDGE_TRY(const std::string text, read_text(*source, folder::longest_index));
  KEDGE_TRY(const folder::Index entries, folder::read_index(text, source->name()));
  for (const std::string& name : entries.files) {
    KEDGE_TRY(io::Source shard, io::Source::open((folder + name).c_str()));
    KEDGE_TRY(io::Safetensors file, io::Safetensors::open(std::move(shard)));
    files.safetensors_.push_back(std::move(file));
  }
  KEDGE_CHECK(files.index());
  KEDGE_CHECK(folder::check_index(entries, files.safetensors_, source->name()));
  return files;
}

Result<ModelFiles> ModelFiles::from_gguf(std::vector<io::Source> shards) noexcept {
  ModelFiles files;
  std::snprintf(files.name_, sizeof files.name_, "%s", shards.empty() ? "gguf" : shards[0].name());
  return guarded(files.name_, [&]() -> Result<ModelFiles> {
    KEDGE_TRY(files.gguf_, io::open_gguf_shards(std::move(shards)));
    KEDGE_CHECK(files.index());
    return std::move(files);
  });
}

Result<ModelFiles> ModelFiles::from_folder(io::Source config,
                                           std::vector<io::Source> safetensors) noexcept {
  ModelFiles files;
  std::snprintf(files.name_, sizeof files.name_, "%s", config.name());
  if (safetensors.empty())
    return fail(Code::invalid_argument, files.name_, "expected safetensors sources, found none");
  return guarded(files.name_, [&]() -> Result<ModelFiles> {
    KEDGE_TRY(files.config_, read_text(config, folder::longest_config));
    for (io::Source& source : safetensors) {
      KEDGE_TRY(io::Safetensors file, io::Safetensors::open(std::move(source)));
      files.safetensors_.push_back(std::move(file));
    }
    KEDGE_CHECK(files.index());
    return std::move(files);
  });
}

}  // namespace kedge::inline KEDGE_ABI
