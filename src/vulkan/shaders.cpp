#include "kedge/backend/vulkan.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

#define KEDGE_SHADER(module, op) \
  namespace shader {             \
  extern const Shader module;    \
  }
#include "kedge/shaders.inc"
#undef KEDGE_SHADER

std::span<const Shader* const> shaders() noexcept {
  static constexpr const Shader* list[] = {
#define KEDGE_SHADER(module, op) &shader::module,
#include "kedge/shaders.inc"
#undef KEDGE_SHADER
  };
  return list;
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
