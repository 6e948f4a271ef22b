// q5_k: 256 values in 176 bytes, as q4_k with 32 bytes of fifth bits before the nibbles: bit j of byte
// i belongs to value i of sub-block j.
#include "common/format/k_scales.glsl"
#define WEIGHT_STEP 32
#define WEIGHT_GAP 32
#define WEIGHT_ROW_BYTES(width) ((width) / 256 * 176)

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  const uint block = row / 16 + first / 256 * 11;
  const uint c = first % 256 / 64, quarter = first % 64 / 16;
  const uvec4 header = weight[block];
  const uint head = header.x;
  const uvec3 scales = header.yzw;
  const float d = half_to_float(head & 0xFFFFu), dmin = half_to_float(head >> 16);
  const uvec2 low_scale = k_scale(scales, 2 * c), high_scale = k_scale(scales, 2 * c + 1);
  precise float low_d = d * float(low_scale.x), low_m = dmin * float(low_scale.y);
  precise float high_d = d * float(high_scale.x), high_m = dmin * float(high_scale.y);
  const uvec4 bits = weight[block + 1 + quarter];
  const uvec4 nibbles = weight[block + 3 + c * 2 + quarter];
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uint fifth = bits[i] >> 2 * c;
    const uint q = nibbles[i];
    [[unroll]] for (uint b = 0; b < 4; ++b) {
      const uint q_low = q >> 8 * b & 15u | (fifth >> 8 * b & 1u) << 4;
      const uint q_high = q >> (8 * b + 4) & 15u | (fifth >> (8 * b + 1) & 1u) << 4;
      precise float low = low_d * float(q_low), high = high_d * float(q_high);
      value[4 * i + b] = low - low_m;
      value[4 * i + b + 16] = high - high_m;
    }
  }
}
