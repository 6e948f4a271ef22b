// Breaks the contracts on purpose: the checks must find every line of this.
#include <cstdio>
#include <cstdlib>

inline int weak_offender(int x) { return x + 1; }
int (*use_weak_offender())(int) { return weak_offender; }

void impure_offender() {
  if (std::getenv("KEDGE_OFFENDER") == nullptr) std::abort();
  std::puts("printed");
}
