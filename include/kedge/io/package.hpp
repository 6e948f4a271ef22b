// Package: model-package.json, which says of a model where its file is and how it is best drafted
// for (generation.speculative_decoding: named strategies, one of them the default). Version 1 of
// the manifest; fields that are not about these two are not looked at.
//
//   {"schema_version": 1, "model_id": "...",
//    "source_model": {"path": "model.gguf", "sha256": "...",
//                     "files": [{"path": "...", "size_bytes": 1, "sha256": "..."}]},
//    "generation": {"speculative_decoding": {"default": "draft", "strategies": {"draft": {
//      "type": "draft-model",              or "ngram"
//      "draft_model": "owner/repo:QUANT",  of draft-model
//      "model_family": "...",
//      "window_policy": {"default": "adaptive",  or "fixed" or "best"
//                        "initial_window": 16, "min_window": 2, "max_window": 16,
//                        "fixed_default_window": 8},
//      "identity": {"source_model_sha256": "..."}}}}}}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kedge/io/source.hpp"

namespace kedge::inline KEDGE_ABI::io {

struct WindowPolicy {
  enum class Kind : std::uint8_t { adaptive, fixed, best };
  Kind kind = Kind::adaptive;
  // Guesses; 0: not said.
  std::int64_t initial = 0, min = 0, max = 0, fixed = 0;

  // With what is not said filled in from what is: 1 <= min <= initial <= max <= 31.
  struct Bounds {
    std::int64_t initial, min, max, fixed;
  };
  KEDGE_API Bounds bounds() const noexcept;
};

struct DraftStrategy {
  enum class Type : std::uint8_t { draft_model, ngram };
  std::string name;
  Type type = Type::draft_model;
  std::string draft_model;  // "owner/repo:QUANT" or a path
  std::string model_family;
  std::string source_model_sha256;  // of the model that it was made for; empty: not said
  std::optional<WindowPolicy> window;
};

struct PackageFile {
  std::string path;  // relative to the manifest
  std::optional<std::uint64_t> size;
  std::string sha256;
};

class KEDGE_API Package {
 public:
  // Errors name the source and the field, with what was expected and what was found.
  static Result<Package> parse(const Source& source) noexcept;

  const std::string& model_id() const noexcept { return model_id_; }
  const std::string& format() const noexcept { return format_; }  // empty: not said
  // source_model; its path is primary_file where it has none.
  const PackageFile& model() const noexcept { return model_; }
  const std::vector<PackageFile>& files() const noexcept { return files_; }
  const std::vector<DraftStrategy>& strategies() const noexcept { return strategies_; }
  // Null when the manifest has no default.
  const DraftStrategy* default_strategy() const noexcept;
  // Empty or "default": the default, null when there is none. Code::not_found for a name that is
  // not there: whoever names a strategy wants it.
  Result<const DraftStrategy*> strategy(std::string_view name) const noexcept;

 private:
  friend class PackageReader;
  std::string name_, model_id_, format_, default_;
  PackageFile model_;
  std::vector<PackageFile> files_;
  std::vector<DraftStrategy> strategies_;
};

// A file against what the package says of it; `field` names it in the error.
KEDGE_API Status check_file(const Source& file, const PackageFile& expected,
                            const char* field) noexcept;

// "owner/repo:QUANT"; the quantization may be missing.
struct DraftReference {
  std::string owner, repository, quantization;
  // Nothing when it is not one, but a path.
  KEDGE_API static std::optional<DraftReference> parse(std::string_view text);
};

}  // namespace kedge::inline KEDGE_ABI::io
