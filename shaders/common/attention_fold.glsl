// Splits of attention (state/kv_page.hpp) and what folds two of them.
#ifndef KEDGE_COMMON_ATTENTION_FOLD
#define KEDGE_COMMON_ATTENTION_FOLD

const float nothing_seen = -3.0e38;  // no infinity: a difference of two of them would be NaN

uint splits_of(uint keys) {
  const uint page = (keys - 1) / 64;
  return (page < 8 ? page : 8 + (page - 8) / 8) + 1;
}
uint first_page_of(uint split) { return split < 8 ? split : 8 + (split - 8) * 8; }

// Weights of two partial results with these largest scores.
struct Weights {
  float first, second;
};
Weights weights_of(float first, float second) {
  precise float apart = -abs(first - second);
  const float e = exact_exp(apart);
  return second > first ? Weights(e, 1.0) : Weights(1.0, e);
}
float weigh(float first, float second, Weights w) {
  precise float sum = first * w.first + second * w.second;
  return sum;
}

#endif
