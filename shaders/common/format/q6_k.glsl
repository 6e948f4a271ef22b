// q6_k: x = (d scale) (q - 32), 256 values in 210 bytes: 128 bytes of low nibbles, 64 of upper pairs
// of bits, a signed scale per 16 values, d in F16. Of each half of 128 values, byte 32 l + i of its
// low nibbles holds values 32 l + i and 64 + 32 l + i, whose upper bits are pairs l and l + 2 of byte
// i; a step takes 16 such bytes.
#define WEIGHT_STEP 32
#define WEIGHT_GAP 64
#define WEIGHT_ROW_BYTES(width) ((width) / 256 * 210)

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  const uint block = row + first / 256 * 210;
  const uint part = first % 256 / 128, l = first % 64 / 32, quarter = first % 32 / 16;
  const bool even = block % 4 == 0;
  const uint low_at = block / 4 + part * 16 + l * 8 + quarter * 4;
  const uint high_at = block / 4 + 32 + part * 8 + quarter * 4;
  // The last word only matters to a block that begins in the middle of one.
  WEIGHT_WORDS(low, low_at, 5, low_at + (even ? 3 : 4));
  WEIGHT_WORDS(high, high_at, 5, high_at + (even ? 3 : 4));
  const uint scale_at = block + 192 + part * 8 + l * 2 + quarter, d_at = block + 208;
  WEIGHT_WORDS(scales, scale_at / 4, 2, scale_at / 4 + 1);
  const int first_scale = int(scales[0]), second_scale = int(scales[1]);
  const uint d_word = weight_word(d_at / 4);
  const float d = half_to_float(even ? d_word & 0xFFFFu : d_word >> 16);
  const int shift = int(scale_at % 4) * 8;  // the second scale lies four bytes further
  precise float d_low = d * float(bitfieldExtract(first_scale, shift, 8));
  precise float d_high = d * float(bitfieldExtract(second_scale, shift, 8));
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uint q = even ? low[i] : low[i] >> 16 | low[i + 1] << 16;
    const uint upper = (even ? high[i] : high[i] >> 16 | high[i + 1] << 16) >> 2 * l;
    [[unroll]] for (uint b = 0; b < 4; ++b) {
      const uint q_low = q >> 8 * b & 15u | (upper >> 8 * b & 3u) << 4;
      const uint q_high = q >> (8 * b + 4) & 15u | (upper >> (8 * b + 4) & 3u) << 4;
      value[4 * i + b] = d_low * float(int(q_low) - 32);
      value[4 * i + b + 16] = d_high * float(int(q_high) - 32);
    }
  }
}
