// q4_0: x = d (q - 8), 32 values in 18 bytes: d in F16, then nibbles, low ones first.
#define WEIGHT_STEP 32
#define WEIGHT_GAP 16
#define WEIGHT_ROW_BYTES(width) ((width) / 32 * 18)

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  const uint at = row + first / 32 * 18;
  uint word[5];
  for (uint i = 0; i < 5; ++i) word[i] = weight[at / 4 + i];
  const bool even = at % 4 == 0;
  const float d = half_to_float(even ? word[0] & 0xFFFFu : word[0] >> 16);
  for (uint i = 0; i < 4; ++i) {
    const uint q = even ? word[i] >> 16 | word[i + 1] << 16 : word[i + 1];
    for (int b = 0; b < 4; ++b) {
      value[4 * i + b] = d * float(int(bitfieldExtract(q, 8 * b, 4)) - 8);
      value[4 * i + b + 16] = d * float(int(bitfieldExtract(q, 8 * b + 4, 4)) - 8);
    }
  }
}
