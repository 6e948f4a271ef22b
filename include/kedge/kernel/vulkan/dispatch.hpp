// Dispatch: the border between an operator's host side on Vulkan and everything else. A
// Kernel<Vulkan, Op> says which module runs, on which tensors, with which constants and how many
// workgroups; who owns buffers, pipelines and command buffers is the Recorder's business, so that
// running at once and recording for later are the same code in the kernel.
//   static Status record(const Op::Args& args, std::int64_t rows, Recorder& recorder) noexcept;
// Binding convention: set 0, storage buffers 0, 1, ... in the order of Op::fields; an argument that
// is absent is bound to a small buffer that nobody reads. Specialization constant 0 is the
// workgroup's width. Sizes are push constants (abi/NAME.h).
#pragma once

#include <cstdint>
#include <cstring>

#include "kedge/abi/common.h"
#include "kedge/core/result.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

// One SPIR-V module, embedded by kedge_add_shader().
struct Shader {
  const char* name;
  const std::uint32_t* words;
  std::size_t count;
};

#define KEDGE_DECLARE_SHADER(name)                    \
  namespace kedge::inline KEDGE_ABI::vulkan::shader { \
  extern const Shader name;                           \
  }

// What kernels may choose by. All of it is fixed for a device: never by the rows of a call.
struct Limits {
  std::uint32_t max_groups = 65535;              // workgroups in each dimension
  std::uint64_t max_binding_bytes = 128u << 20;  // one storage buffer as a shader sees it
  std::uint32_t binding_alignment = 256;         // of a binding's offset
  std::uint32_t subgroup_size = 1;
  bool subgroup_shuffle = false;         // else kernels take their `shared` variants
  bool output_lanes = false;             // products: a lane has outputs of its own
  std::uint32_t max_loop = 0xFFFFFFFFu;  // loop iterations of one invocation, see Dispatch
};

// A tensor as one binding, whole or from byte `offset` on.
struct Binding {
  Tensor tensor;
  std::uint64_t offset = 0, bytes = 0;
};

struct Dispatch {
  static constexpr std::uint32_t max_bindings = 12, max_constants = 16;

  const Shader* shader = nullptr;
  std::uint32_t bindings = 0, constants = 0, push_bytes = 0;
  std::uint32_t groups[3] = {1, 1, 1};
  // At most this many loop iterations in one invocation, nested loops multiplied. Lavapipe of Mesa
  // 22 stops every invocation silently after 65,535; the Recorder refuses what would be cut.
  std::uint64_t loops = 0;
  Binding binding[max_bindings];
  std::uint32_t constant[max_constants] = {};  // by id
  std::uint32_t push[KEDGE_GPU_MAX_PUSH_BYTES / 4] = {};

  Dispatch(const Shader& module, std::uint32_t width) noexcept : shader(&module) {
    specialize(0, width);
  }
  // In the order of Op::fields. An empty tensor still takes its number. Shaders read pairs
  // of words, so a binding ends with a whole one: device memory of a tensor has up to seven bytes
  // more.
  void bind(const Tensor& tensor) noexcept { bind(tensor, 0, tensor.empty() ? 0 : tensor.bytes()); }
  void bind(const Tensor& tensor, std::uint64_t offset, std::uint64_t bytes) noexcept {
    binding[bindings++] = {tensor, offset, (bytes + 7) / 8 * 8};
  }
  void specialize(std::uint32_t id, std::uint32_t value) noexcept {
    constant[id] = value;
    if (id >= constants) constants = id + 1;
  }
  template <class Push>
  void constants_from(const Push& values) noexcept {
    static_assert(sizeof(Push) <= sizeof push && sizeof(Push) % 4 == 0);
    std::memcpy(push, &values, sizeof values);
    push_bytes = sizeof values;
  }
};

class Recorder {
 public:
  virtual const Limits& limits() const noexcept = 0;
  // Appends a dispatch that sees everything the earlier ones wrote.
  virtual Status dispatch(const Dispatch& dispatch) noexcept = 0;

 protected:
  ~Recorder() = default;
};

// `count` workgroups over x and y (shaders/common/grid.glsl), `tiles` of them over z.
inline Status spread(const Limits& limits, const char* op, std::uint64_t count, std::uint64_t tiles,
                     Dispatch& dispatch) noexcept {
  const std::uint64_t x = count < limits.max_groups ? count : limits.max_groups;
  const std::uint64_t y = x == 0 ? 0 : (count + x - 1) / x;
  if (count == 0 || y > limits.max_groups || tiles > limits.max_groups)
    return fail(Code::unsupported, op,
                "%llu x %llu workgroups; the device allows 1..%u a dimension",
                static_cast<unsigned long long>(count), static_cast<unsigned long long>(tiles),
                limits.max_groups);
  dispatch.groups[0] = static_cast<std::uint32_t>(x);
  dispatch.groups[1] = static_cast<std::uint32_t>(y);
  dispatch.groups[2] = static_cast<std::uint32_t>(tiles);
  return {};
}

// Rules that shaders add to an operator's own: this element, row by row, and an index of 32 bits.
inline Status expect_element(const char* op, const char* argument, const Tensor& t,
                             Element element) noexcept {
  if (t.element != element)
    return fail(Code::unsupported, op, "%s: the Vulkan kernel takes %s, found %s", argument,
                to_string(element), to_string(t.element));
  if (t.layout != Layout::row_major)
    return fail(Code::unsupported, op, "%s: the Vulkan kernel takes rows, found panels", argument);
  if (t.rows() * t.width() > 0x7FFFFFFFll)
    return fail(Code::unsupported, op, "%s: %lld values do not fit a 31-bit index", argument,
                static_cast<long long>(t.rows() * t.width()));
  return {};
}
inline Status expect_rows(const char* op, const Tensor& t, std::int64_t rows) noexcept {
  if (rows < 1 || rows > t.rows())
    return fail(Code::invalid_argument, op, "%lld rows asked for, the arguments have %lld",
                static_cast<long long>(rows), static_cast<long long>(t.rows()));
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
