// usage: consumer MODEL: both versions at work, and the same text from both.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>

const char* first_decode(const char* path, std::int32_t* out, int count);
const char* second_decode(const char* path, std::int32_t* out, int count);

int main(int, char** argv) {
  std::int32_t a[24], b[24];
  const char *first = nullptr, *second = nullptr;
  std::thread other([&] { first = first_decode(argv[1], a, 24); });
  second = second_decode(argv[1], b, 24);
  other.join();
  if (first == nullptr || second == nullptr) return 1;
  std::printf("versions %s and %s\n", first, second);
  if (std::strcmp(first, second) == 0) return 2;  // they would be one version twice
  if (std::memcmp(a, b, sizeof a) != 0) return 3;
  for (const std::int32_t token : a) std::printf("%d ", token);
  std::puts("");
}
