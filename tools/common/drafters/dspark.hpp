// Loading DFlash and DSpark draft models for the program.
#pragma once

#include <memory>
#include <string>

#include "kedge/draft/dspark_model.hpp"

namespace kedge::tools {

// `quantize`: none, q8_0, q4_0 or q4_k. A target may be missing (null); a draft runs where its
// target does, and without one on `accelerator` (null: the CPU).
std::shared_ptr<const draft::DsparkModel> load_dspark(
    const std::string& path, std::shared_ptr<const Model> target, const std::string& quantize,
    Executor* executor, std::shared_ptr<Accelerator> accelerator = nullptr);

}  // namespace kedge::tools
