// f32. block.glsl says what a format has.
#define WEIGHT_STEP 8
#define WEIGHT_ROW_BYTES(width) (4 * (width))

void weight_load(uint row, uint first, uint width, out precise float value[WEIGHT_STEP]) {
  WEIGHT_WORDS(word, row / 4 + first, 8, row / 4 + width - 1);
  [[unroll]] for (uint i = 0; i < WEIGHT_STEP; ++i)
    value[i] = first + i < width ? uintBitsToFloat(word[i]) : 0.0;
}
