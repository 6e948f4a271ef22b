// f16: IEEE half. block.glsl says what a format has.
#define WEIGHT_STEP 8
#define WEIGHT_ROW_BYTES(width) (2 * (width))

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  const uint at = row / 2 + first;  // in halves; a row may begin in the middle of a word
  const uint count = min(WEIGHT_STEP, width - first);
  WEIGHT_WORDS(word, at / 2, 5, (row / 2 + width - 1) / 2);
  [[unroll]] for (uint i = 0; i < WEIGHT_STEP / 2; ++i) {
    const uint pair = at % 2 == 0 ? word[i] : word[i] >> 16 | word[i + 1] << 16;
    value[2 * i] = 2 * i < count ? half_to_float(pair & 0xFFFFu) : 0.0;
    value[2 * i + 1] = 2 * i + 1 < count ? half_to_float(pair >> 16) : 0.0;
  }
}
