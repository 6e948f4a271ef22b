// q4_1: x = d q + m, 32 values in 20 bytes: d and m in F16, then nibbles as in q4_0.
#define WEIGHT_STEP 32
#define WEIGHT_GAP 16
#define WEIGHT_ROW_BYTES(width) ((width) / 32 * 20)

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  const uint at = row / 4 + first / 32 * 5;
  WEIGHT_WORDS(word, at, 5, at + 4);
  const uint head = word[0];
  const float d = half_to_float(head & 0xFFFFu), m = half_to_float(head >> 16);
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uint q = word[1 + i];
    [[unroll]] for (int b = 0; b < 4; ++b) {
      precise float low = d * float(bitfieldExtract(q, 8 * b, 4));
      precise float high = d * float(bitfieldExtract(q, 8 * b + 4, 4));
      value[4 * i + b] = low + m;
      value[4 * i + b + 16] = high + m;
    }
  }
}
