// Files of packed weights (PackedWeights in model.hpp): a safetensors file whose one tensor is the
// memory of a model's weights, at the start of a page, and whose metadata say what it was made
// from. Private to the compiled library.
#pragma once

#include <memory>
#include <span>

#include "model/loader.hpp"

namespace kedge::inline KEDGE_ABI {

struct MappedWeights {
  std::shared_ptr<const io::Safetensors> file;
  std::byte* data = nullptr;  // read-only
  std::uint64_t digest = 0;   // digest_weights() of what was written
};

// Whether a file of packed weights may be written there: nothing that somebody would miss is in the
// way, above all not the files of the model itself.
Status expect_replaceable(const PackedWeights& packed);

// Maps the file if it holds these items, `bytes` of memory together. Errors say what differs.
Result<MappedWeights> map_packed(const PackedWeights& packed, std::span<const LoadItem> items,
                                 std::size_t bytes, const Model::Options& options);

// Writes it; the items' targets have their values.
Status write_packed(const char* path, std::span<const LoadItem> items, std::size_t bytes,
                    std::uint64_t digest, const Model::Options& options);

}  // namespace kedge::inline KEDGE_ABI
