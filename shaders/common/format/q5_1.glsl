// q5_1: x = d q + m, 32 values in 24 bytes: d and m in F16, a word of fifth bits, then nibbles as in
// q4_0.
#define WEIGHT_STEP 32
#define WEIGHT_GAP 16
#define WEIGHT_ROW_BYTES(width) ((width) / 32 * 24)

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  const uint at = row / 4 + first / 32 * 6;
  WEIGHT_WORDS(word, at, 6, at + 5);
  const uint head = word[0], fifth = word[1];
  const float d = half_to_float(head & 0xFFFFu), m = half_to_float(head >> 16);
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uint q = word[2 + i];
    [[unroll]] for (uint b = 0; b < 4; ++b) {
      const uint at_bit = 4 * i + b;
      const uint q_low = q >> 8 * b & 15u | (fifth >> at_bit & 1u) << 4;
      const uint q_high = q >> (8 * b + 4) & 15u | (fifth >> (at_bit + 16) & 1u) << 4;
      precise float low = d * float(q_low), high = d * float(q_high);
      value[at_bit] = low + m;
      value[at_bit + 16] = high + m;
    }
  }
}
