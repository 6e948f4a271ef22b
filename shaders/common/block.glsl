// Formats of a weight as they stand in files. KEDGE_WEIGHT chooses one; each defines
//   WEIGHT_WORD                                       what the buffer is an array of
//   WEIGHT_STEP                                       consecutive values decoded at once
//   WEIGHT_LOAD(words, first_word, step, value)       float value[WEIGHT_STEP] of step `step` of a row
//   WEIGHT_ROW_WORDS(width)                           words of a row
// C++ twin: core/block.hpp.
#ifndef KEDGE_COMMON_BLOCK
#define KEDGE_COMMON_BLOCK

#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types_int16 : require

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

#define WEIGHT_WORD float
#define WEIGHT_STEP 1
#define WEIGHT_ROW_WORDS(width) (width)
#define WEIGHT_LOAD(words, first_word, step, value) value[0] = words[(first_word) + (step)]

#elif KEDGE_WEIGHT == KEDGE_ELEMENT_Q8_0

// 34 bytes per 32 values: d in F16, then 32 signed bytes. Blocks are aligned to two bytes only.
#define WEIGHT_WORD uint16_t
#define WEIGHT_STEP 4
#define WEIGHT_ROW_WORDS(width) ((width) / 32 * 17)
#define WEIGHT_LOAD(words, first_word, step, value)                                 \
  {                                                                                 \
    const uint block_at = (first_word) + (step) / 8 * 17;                           \
    const uint pair_at = block_at + 1 + (step) % 8 * 2;                             \
    q8_0_decode(uint(words[block_at]), uint(words[pair_at]), uint(words[pair_at + 1]), value); \
  }

void q8_0_decode(uint d, uint low, uint high, out precise float value[4]) {
  const float scale = half_to_float(d);
  const int q = int(low | high << 16);
  for (int i = 0; i < 4; ++i) value[i] = scale * float(bitfieldExtract(q, 8 * i, 8));
}

#else
#error "KEDGE_WEIGHT names no format that shaders/common/block.glsl knows"
#endif

#endif
