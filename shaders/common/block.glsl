// Formats of a weight as they stand in files. KEDGE_WEIGHT chooses one, common/format/NAME.glsl; the
// buffer `weight`, an array of 32-bit words, is declared before this is included. A format defines
//   WEIGHT_STEP              values decoded at once
//   WEIGHT_GAP               blocks only: a step is two runs of 16 consecutive values that share
//                            bytes, the second WEIGHT_GAP values after the first
//   WEIGHT_ROW_BYTES(width)  bytes of a row
//   weight_load(row, first, width, value)  the values of a step whose first run begins at value
//                            `first` of the row that begins at byte `row` (an even number); values
//                            beyond the width are 0
// Blocks of an odd number of halves are read as words and shifted: a word costs no more than a half.
// C++ twin: core/format.
#ifndef KEDGE_COMMON_BLOCK
#define KEDGE_COMMON_BLOCK

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
