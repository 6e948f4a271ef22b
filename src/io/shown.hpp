// Shown: a name from a file made fit for an error message. Private to the compiled library.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "kedge/core/config.hpp"

namespace kedge::inline KEDGE_ABI::io {

// Hostile names may hold anything: control bytes become '?', and long ones are cut.
class Shown {
 public:
  explicit Shown(std::string_view name) noexcept {
    const std::size_t kept = std::min(name.size(), sizeof text_ - 4);
    for (std::size_t i = 0; i < kept; ++i) {
      const auto byte = static_cast<unsigned char>(name[i]);
      text_[i] = byte < 0x20 || byte == 0x7F ? '?' : name[i];
    }
    if (kept < name.size()) std::memcpy(text_ + kept, "...", 3);
  }
  const char* text() const noexcept { return text_; }

 private:
  char text_[100] = {};
};

}  // namespace kedge::inline KEDGE_ABI::io
