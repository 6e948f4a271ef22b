// The readers of DFlash and DSpark configurations, one per kind of metadata. Private to the
// compiled library; they throw what std containers throw.
#pragma once

#include "kedge/draft/dspark_config.hpp"
#include "model/config_fields.hpp"

namespace kedge::inline KEDGE_ABI::draft {

bool is_dspark_folder(const ModelFiles& files);
Result<DsparkConfig> read_dspark_folder(const ModelFiles& files);
Result<DsparkConfig> read_dspark_gguf(const io::Gguf& file, const TensorDirectory& tensors);

// Every name that the mask token has had.
Status read_mask(const Fields& top, const Fields* own, DsparkConfig& config);

}  // namespace kedge::inline KEDGE_ABI::draft
