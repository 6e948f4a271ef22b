// q5_0: x = d (q - 16), 32 values in 22 bytes: d in F16, a word of fifth bits, then nibbles as in
// q4_0.
#define WEIGHT_STEP 32
#define WEIGHT_GAP 16
#define WEIGHT_ROW_BYTES(width) ((width) / 32 * 22)

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  const uint at = row + first / 32 * 22;
  WEIGHT_WORDS(word, at / 4, 6, at / 4 + 5);
  const bool even = at % 4 == 0;
  const float d = half_to_float(even ? word[0] & 0xFFFFu : word[0] >> 16);
  const uint fifth = even ? word[0] >> 16 | word[1] << 16 : word[1];
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uint q = even ? word[i + 1] >> 16 | word[i + 2] << 16 : word[i + 2];
    [[unroll]] for (uint b = 0; b < 4; ++b) {
      const uint at_bit = 4 * i + b;
      const uint low = q >> 8 * b & 15u | (fifth >> at_bit & 1u) << 4;
      const uint high = q >> (8 * b + 4) & 15u | (fifth >> (at_bit + 16) & 1u) << 4;
      value[at_bit] = d * float(int(low) - 16);
      value[at_bit + 16] = d * float(int(high) - 16);
    }
  }
}
