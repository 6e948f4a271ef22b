// q4_k: x = (d scale_j) q - (dmin minimum_j), 256 values in 144 bytes: d and dmin in F16, scales, 128
// bytes of nibbles. Bytes 32 c .. 32 c + 31 hold sub-block 2 c in their low and 2 c + 1 in their high
// nibbles; a step takes 16 of these bytes.
#include "common/format/k_scales.glsl"
#define WEIGHT_STEP 32
#define WEIGHT_GAP 32
#define WEIGHT_ROW_BYTES(width) ((width) / 256 * 144)

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  const uint block = row / 16 + first / 256 * 9;
  const uint c = first % 256 / 64, quarter = first % 64 / 16;
  const uvec4 header = weight[block];
  const uint head = header.x;
  const uvec3 scales = header.yzw;
  const float d = half_to_float(head & 0xFFFFu), dmin = half_to_float(head >> 16);
  const uvec2 low_scale = k_scale(scales, 2 * c), high_scale = k_scale(scales, 2 * c + 1);
  precise float low_d = d * float(low_scale.x), low_m = dmin * float(low_scale.y);
  precise float high_d = d * float(high_scale.x), high_m = dmin * float(high_scale.y);
  const uvec4 nibbles = weight[block + 1 + c * 2 + quarter];
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uint q = nibbles[i];
    [[unroll]] for (int b = 0; b < 4; ++b) {
      precise float low = low_d * float(bitfieldExtract(q, 8 * b, 4));
      precise float high = high_d * float(bitfieldExtract(q, 8 * b + 4, 4));
      value[4 * i + b] = low - low_m;
      value[4 * i + b + 16] = high - high_m;
    }
  }
}
