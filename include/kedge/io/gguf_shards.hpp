// A GGUF file cut into shards, NAME-00001-of-00003.gguf and so on. Each shard is a GGUF file with
// the keys split.no (from 0), split.count and split.tensors.count (of all shards); the metadata are
// in the first. The convention is llama.cpp's (tools/gguf-split).
#pragma once

#include <vector>

#include "kedge/io/gguf.hpp"

namespace kedge::inline KEDGE_ABI::io {

// The file at `path`, or all shards when it is one of several, in order. Errors name the shard that
// is missing, occurs twice, or does not belong to the others. Files are not mapped.
KEDGE_API Result<std::vector<Gguf>> open_gguf_shards(const char* path) noexcept;
// The same from sources, in any order; one source is a file that is not sharded, or the only shard.
KEDGE_API Result<std::vector<Gguf>> open_gguf_shards(std::vector<Source> sources) noexcept;

}  // namespace kedge::inline KEDGE_ABI::io
