// Whole text files, as configurations are.
#pragma once

#include <string>

#include "kedge/core/result.hpp"

namespace kedge::inline KEDGE_ABI::text {

// not_found when it is not there; at most as large as JSON may be. Throws what std::string throws.
Result<std::string> read_text(const std::string& path);
// Leaves `text` as it is when there is no such file.
Status read_if_there(const std::string& path, std::string& text);

}  // namespace kedge::inline KEDGE_ABI::text
