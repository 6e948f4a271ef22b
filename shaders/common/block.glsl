// Formats of a weight as they stand in files. KEDGE_WEIGHT chooses one, common/format/NAME.glsl;
// WEIGHT_BINDING is the number of the buffer. A format defines
//   WEIGHT_STEP              values decoded at once
//   WEIGHT_GAP               blocks only: a step is two runs of 16 consecutive values that share
//                            bytes, the second WEIGHT_GAP values after the first
//   WEIGHT_ROW_BYTES(width)  bytes of a row
//   weight_load(row, first, width, value)  the values of a step whose first run begins at value
//                            `first` of the row that begins at byte `row` (an even number); values
//                            beyond the width are 0
//   WEIGHT_QUADS             the buffer is an array of four words, else of two
// Loads are as wide as the alignment allows, and what was read too much is shifted away: a load of
// two words costs a device without a memory pipeline (Mesa's software one) no more than one of half
// a word.
// C++ twin: core/format.
#ifndef KEDGE_COMMON_BLOCK
#define KEDGE_COMMON_BLOCK

#extension GL_EXT_control_flow_attributes : require
#include "kedge/abi/common.h"

// In integer arithmetic, because a device may flush F16 subnormals in its own conversion.
float half_to_float(uint h) {
  const uint sign = (h & 0x8000u) << 16;
  const uint exponent = (h >> 10) & 31u;
  const uint mantissa = h & 1023u;
  precise float small = float(mantissa) * uintBitsToFloat(103u << 23);  // mantissa * 2^-24
  const uint shifted = mantissa << 13;
  const uint magnitude = exponent == 0u    ? floatBitsToUint(small)
                         : exponent == 31u ? 0x7F800000u | shifted
                                           : ((exponent + 112u) << 23) | shifted;
  return uintBitsToFloat(sign | magnitude);
}

#if KEDGE_WEIGHT == KEDGE_ELEMENT_Q4_K || KEDGE_WEIGHT == KEDGE_ELEMENT_Q5_K
#define WEIGHT_QUADS  // their blocks are multiples of 16 bytes
layout(std430, set = 0, binding = WEIGHT_BINDING) readonly buffer Weight { uvec4 weight[]; };
#else
layout(std430, set = 0, binding = WEIGHT_BINDING) readonly buffer Weight { uvec2 weight[]; };

uint weight_word(uint at) { return weight[at / 2][at % 2]; }

// Declares uint NAME[COUNT]: words at, at + 1, ..., none of them beyond word `last`.
#define WEIGHT_WORDS(name, at, count, last)                                              \
  uint name[count];                                                                      \
  {                                                                                      \
    uvec2 pair[count / 2 + 1];                                                           \
    [[unroll]] for (uint i = 0; i < count / 2 + 1; ++i)                                  \
      pair[i] = weight[min((at) / 2 + i, (last) / 2)];                                   \
    [[unroll]] for (uint i = 0; i < count; ++i)                                          \
      name[i] = (at) % 2 == 0 ? pair[i / 2][i % 2] : pair[(i + 1) / 2][(i + 1) % 2];     \
  }
#endif

#if KEDGE_WEIGHT == KEDGE_ELEMENT_F32
#include "common/format/f32.glsl"
#elif KEDGE_WEIGHT == KEDGE_ELEMENT_F16
#include "common/format/f16.glsl"
#elif KEDGE_WEIGHT == KEDGE_ELEMENT_BF16
#include "common/format/bf16.glsl"
#elif KEDGE_WEIGHT == KEDGE_ELEMENT_Q8_0
#include "common/format/q8_0.glsl"
#elif KEDGE_WEIGHT == KEDGE_ELEMENT_Q4_0
#include "common/format/q4_0.glsl"
#elif KEDGE_WEIGHT == KEDGE_ELEMENT_Q4_1
#include "common/format/q4_1.glsl"
#elif KEDGE_WEIGHT == KEDGE_ELEMENT_Q6_K
#include "common/format/q6_k.glsl"
#elif KEDGE_WEIGHT == KEDGE_ELEMENT_Q5_0
#include "common/format/q5_0.glsl"
#elif KEDGE_WEIGHT == KEDGE_ELEMENT_Q5_1
#include "common/format/q5_1.glsl"
#elif KEDGE_WEIGHT == KEDGE_ELEMENT_Q4_K
#include "common/format/q4_k.glsl"
#elif KEDGE_WEIGHT == KEDGE_ELEMENT_Q5_K
#include "common/format/q5_k.glsl"
#else
#error "KEDGE_WEIGHT names no format that shaders/common/block.glsl knows"
#endif

// Steps of a row, and where step s begins.
uint weight_steps(uint width) { return (width + WEIGHT_STEP - 1) / WEIGHT_STEP; }
#ifdef WEIGHT_GAP
uint weight_first(uint s) {
  const uint pairs = WEIGHT_GAP / 16;
  return s / pairs * (2 * WEIGHT_GAP) + s % pairs * 16;
}
// Of value i of a step, behind its first.
uint weight_behind(uint i) { return i < 16 ? i : i - 16 + WEIGHT_GAP; }
#else
uint weight_first(uint s) { return s * WEIGHT_STEP; }
uint weight_behind(uint i) { return i; }
#endif

#endif
