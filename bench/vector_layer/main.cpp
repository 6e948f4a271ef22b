// Nanoseconds per row of every unit, and whether the bytes of a library's units are equal.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

using Function = void(const float*, const float*, float*, int, int);
extern "C" Function own_scalar, own_avx2, own_avx512, highway_scalar, highway_avx2, highway_avx512;

int main() {
  const struct {
    const char* library;
    const char* isa;
    Function* run;
  } units[] = {{"own", "scalar", own_scalar},     {"own", "avx2", own_avx2},
               {"own", "avx512", own_avx512},     {"highway", "scalar", highway_scalar},
               {"highway", "avx2", highway_avx2}, {"highway", "avx512", highway_avx512}};
  for (const int width : {576, 4096}) {
    const int rows = 8;
    // Not all at the same place of a page: stores would seem to hit later loads.
    std::vector<float> x(rows * width), weights(width + 256), ys(rows * width + 512), first;
    float *const weight = weights.data() + 256, *const y = ys.data() + 512;
    const std::size_t values = x.size();
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (float& v : x) v = normal(random);
    for (float& v : weights) v = normal(random);
    for (const auto& unit : units) {
      double best = 1e9;
      for (int repetition = 0; repetition < 400; ++repetition) {
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < 20; ++i) unit.run(x.data(), weight, y, rows, width);
        const std::chrono::duration<double, std::nano> time =
            std::chrono::steady_clock::now() - start;
        best = std::min(best, time.count() / 20 / rows);
      }
      if (first.empty()) first.assign(y, y + values);
      int different = 0;
      for (std::size_t i = 0; i < values; ++i)
        different += std::memcmp(&y[i], &first[i], sizeof(float)) != 0;
      std::printf("width %4d  %-8s %-7s %8.1f ns a row, %d of %zu values differ from own scalar\n",
                  width, unit.library, unit.isa, best, different, values);
    }
  }
}
