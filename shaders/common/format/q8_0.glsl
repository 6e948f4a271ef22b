// q8_0: x = d q, 32 values in 34 bytes: d in F16, then signed bytes.
#define WEIGHT_STEP 32
#define WEIGHT_GAP 16
#define WEIGHT_ROW_BYTES(width) ((width) / 32 * 34)

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  const uint at = row + first / 32 * 34;
  WEIGHT_WORDS(word, at / 4, 9, at / 4 + 8);
  const bool even = at % 4 == 0;
  const float d = half_to_float(even ? word[0] & 0xFFFFu : word[0] >> 16);
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    const int q = int(even ? word[i] >> 16 | word[i + 1] << 16 : word[i + 1]);
    [[unroll]] for (int b = 0; b < 4; ++b) value[4 * i + b] = d * float(bitfieldExtract(q, 8 * b, 8));
  }
}
