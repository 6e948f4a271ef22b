// usage: consumer MODEL
#include <cstdio>

#include "decode.hpp"

int main(int, char** argv) {
  std::int32_t tokens[24];
  if (const int status = consumer::decode(argv[1], tokens, 24); status != 0) return status;
  for (const std::int32_t token : tokens) std::printf("%d ", token);
  std::puts("");
}
