// q4_0: x = d (q - 8), 32 values in 18 bytes: d in F16, then nibbles, low ones first.
#define WEIGHT_STEP 32
#define WEIGHT_GAP 16
#define WEIGHT_ROW_BYTES(width) ((width) / 32 * 18)

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  const uint at = row + first / 32 * 18;
  WEIGHT_WORDS(word, at / 4, 5, at / 4 + 4);
  const bool even = at % 4 == 0;
  const float d = half_to_float(even ? word[0] & 0xFFFFu : word[0] >> 16);
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uint q = even ? word[i] >> 16 | word[i + 1] << 16 : word[i + 1];
    [[unroll]] for (int b = 0; b < 4; ++b) {
      value[4 * i + b] = d * float(int(bitfieldExtract(q, 8 * b, 4)) - 8);
      value[4 * i + b + 16] = d * float(int(bitfieldExtract(q, 8 * b + 4, 4)) - 8);
    }
  }
}
