/* What the host and a shader agree on, stated once per operator in abi/NAME.h, which both C++ and
   GLSL include. KEDGE_GPU_OPERATOR(Camel, PUSH, CONSTANTS, BINDINGS) takes three lists:
     PUSH(MEMBER)          MEMBER(type, name): push constants, sizes and settings of one dispatch
     CONSTANTS(CONSTANT)   CONSTANT(name, id, initial): specialization constants that shape loops;
                           id 0 is always the workgroup's width and is not listed
     BINDINGS              storage buffers of set 0, bound in the order of the operator's fields();
                           an argument that is absent still has its number
   In C++ it makes struct abi::Camel, in GLSL the declarations themselves. tests/contract/spirv_abi
   compares the two in the compiled modules. Types: uint and float, four bytes each, so that the
   layouts cannot differ in padding. */
#ifndef KEDGE_ABI_COMMON_H
#define KEDGE_ABI_COMMON_H

/* Formats as the preprocessor sees them; the values of Element. */
#define KEDGE_ELEMENT_F32 0
#define KEDGE_ELEMENT_F16 1
#define KEDGE_ELEMENT_BF16 2
#define KEDGE_ELEMENT_Q8_0 3
#define KEDGE_ELEMENT_Q4_0 4
#define KEDGE_ELEMENT_Q4_1 5
#define KEDGE_ELEMENT_Q6_K 6
#define KEDGE_ELEMENT_Q5_0 7
#define KEDGE_ELEMENT_Q5_1 8
#define KEDGE_ELEMENT_Q4_K 9
#define KEDGE_ELEMENT_Q5_K 10

/* The least size that every Vulkan device offers. */
#define KEDGE_GPU_MAX_PUSH_BYTES 128

#ifdef __cplusplus

#include <cstddef>
#include <cstdint>

#include "kedge/core/element.hpp"

namespace kedge::inline KEDGE_ABI::abi {

static_assert(KEDGE_ELEMENT_F32 == static_cast<int>(Element::f32));
static_assert(KEDGE_ELEMENT_F16 == static_cast<int>(Element::f16));
static_assert(KEDGE_ELEMENT_BF16 == static_cast<int>(Element::bf16));
static_assert(KEDGE_ELEMENT_Q8_0 == static_cast<int>(Element::q8_0));
static_assert(KEDGE_ELEMENT_Q4_0 == static_cast<int>(Element::q4_0));
static_assert(KEDGE_ELEMENT_Q4_1 == static_cast<int>(Element::q4_1));
static_assert(KEDGE_ELEMENT_Q6_K == static_cast<int>(Element::q6_k));
static_assert(KEDGE_ELEMENT_Q5_0 == static_cast<int>(Element::q5_0));
static_assert(KEDGE_ELEMENT_Q5_1 == static_cast<int>(Element::q5_1));
static_assert(KEDGE_ELEMENT_Q4_K == static_cast<int>(Element::q4_k));
static_assert(KEDGE_ELEMENT_Q5_K == static_cast<int>(Element::q5_k));

using uint = std::uint32_t;

struct Member {
  const char* name;
  std::size_t offset, bytes;
};

}  // namespace kedge::inline KEDGE_ABI::abi

#define KEDGE_GPU_MEMBER(type, name) type name;
#define KEDGE_GPU_MEMBER_INFO(type, name) Member{#name, offsetof(Push, name), sizeof(type)},
#define KEDGE_GPU_CONSTANT(name, id, initial) name = id,
#define KEDGE_GPU_CONSTANT_ID(name, id, initial) id,

#define KEDGE_GPU_OPERATOR(Camel, PUSH, CONSTANTS, BINDINGS)                   \
  namespace kedge::inline KEDGE_ABI::abi {                                     \
  struct Camel {                                                               \
    struct Push {                                                              \
      PUSH(KEDGE_GPU_MEMBER)                                                   \
    };                                                                         \
    static_assert(sizeof(Push) <= KEDGE_GPU_MAX_PUSH_BYTES);                   \
    enum Constant : uint { local_size = 0, CONSTANTS(KEDGE_GPU_CONSTANT) };    \
    static constexpr uint bindings = BINDINGS;                                 \
    static constexpr Member members[] = {PUSH(KEDGE_GPU_MEMBER_INFO)};         \
    static constexpr uint constants[] = {0, CONSTANTS(KEDGE_GPU_CONSTANT_ID)}; \
  };                                                                           \
  }

#else /* GLSL */

#define KEDGE_GPU_MEMBER(type, name) type name;
#define KEDGE_GPU_CONSTANT(name, id, initial) layout(constant_id = id) const uint name = initial;

#define KEDGE_GPU_OPERATOR(Camel, PUSH, CONSTANTS, BINDINGS)       \
  layout(local_size_x = 32, local_size_x_id = 0) in;               \
  layout(push_constant) uniform Push{PUSH(KEDGE_GPU_MEMBER)} push; \
  CONSTANTS(KEDGE_GPU_CONSTANT)

#endif

#endif
