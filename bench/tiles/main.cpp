// What tile instructions (AMX int8) cost beside the vector product that they would replace, in turn
// on one core: a processor's tile unit may be busy with somebody else's work, so single figures say
// little. Nanoseconds; quartiles over the turns.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

struct alignas(64) Config {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  // Tiles 0..3 sums, 4 and 5 activations, 6 and 7 weights; `words` times four values in a product.
  Config(int columns, int words) {
    for (int i = 0; i < 8; ++i) {
      rows[i] = static_cast<std::uint8_t>(i < 6 ? columns : words);
      row_bytes[i] = static_cast<std::uint16_t>(i < 4 || i > 5 ? 64 : 4 * words);
    }
  }
};

alignas(4096) char activations[4096], weights[4096], sums[4096];
constexpr int rounds = 500;

template <class Body>
double nanoseconds(int products, Body body) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i) body();
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  return time.count() / rounds / products;
}

#define DOT(n) "vpdpbusd %%zmm0, %%zmm1, %%zmm" n "\n\t"
double vector_product() {
  return nanoseconds(12, [] {
    asm volatile(DOT("2") DOT("3") DOT("4") DOT("5") DOT("6") DOT("7") DOT("8") DOT("9") DOT("10")
                     DOT("11") DOT("12") DOT("13")::
                         : "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11", "xmm12", "xmm13");
  });
}

#define PRODUCT(c, a, b) "tdpbssd %%tmm" b ", %%tmm" a ", %%tmm" c "\n\t"
double product_alone() {
  return nanoseconds(4, [] {
    asm volatile(PRODUCT("0", "4", "6") PRODUCT("1", "4", "6") PRODUCT("2", "4", "6")
                     PRODUCT("3", "4", "6")::);
  });
}

// As matmul takes them: both operands from memory, sums to memory.
#define WHOLE(c, a, b)           \
  "tileloadd (%0,%3,1), %%tmm" a \
  "\n\t"                         \
  "tileloadd (%1,%3,1), %%tmm" b \
  "\n\t"                         \
  "tilezero %%tmm" c "\n\t" PRODUCT(c, a, b)
#define STORE(c) "tilestored %%tmm" c ", " c "*1024(%2,%3,1)\n\t"
double whole_product() {
  return nanoseconds(4, [] {
    asm volatile(WHOLE("0", "4", "6") WHOLE("1", "5", "7") WHOLE("2", "4", "6") STORE("0")
                     WHOLE("3", "5", "7") STORE("1") STORE("2") STORE("3")
                 :
                 : "r"(activations), "r"(weights), "r"(sums), "r"(std::int64_t{64})
                 : "memory");
  });
}

void print(const char* name, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const std::size_t n = times.size();
  std::printf("  %-52s %6.2f  (%.2f - %.2f)\n", name, times[n / 2], times[n / 4], times[3 * n / 4]);
}

}  // namespace

int main() {
  constexpr long request_permission = 0x1023, tile_data = 18;
  if (!__builtin_cpu_supports("avx512vnni") ||
      syscall(SYS_arch_prctl, request_permission, tile_data) != 0) {
    std::puts("SKIPPED: no tiles here, or no permission to use them");
    return 0;
  }
  for (const int words : {8, 16})
    for (const int columns : {8, 16}) {
      const Config config(columns, words);
      std::vector<double> times[3];
      for (int turn = 0; turn < 4000; ++turn) {
        asm volatile("ldtilecfg %0" ::"m"(config));
        times[0].push_back(vector_product());
        times[1].push_back(product_alone());
        times[2].push_back(whole_product());
        asm volatile("tilerelease");
      }
      std::printf("%d columns, %d values: ns, median (quartiles)\n", columns, 4 * words);
      print("vpdpbusd", times[0]);
      print("tdpbssd alone", times[1]);
      print("two tileloadd, tilezero, tdpbssd, tilestored", times[2]);
    }
}
