#include <cstring>
#include <vector>

#include "fuzz/entries.hpp"
#include "kedge/core/hash.hpp"
#include "kedge/draft/ngram_counts.hpp"

// As it is, and with the digest made right, so that chance gets behind it.
int fuzz_ngram_counts(const std::uint8_t* data, std::size_t size) {
  using namespace kedge;
  std::vector<std::byte> bytes(size);
  if (size > 0) std::memcpy(bytes.data(), data, size);
  unsigned sum = 0;
  for (int pass = 0; pass < 2; ++pass) {
    if (auto counts = draft::NgramCounts::load(io::Source::memory(bytes), {.spare = 8})) {
      const std::int32_t before[] = {1, 2};
      counts->visit(before, [&](std::int32_t, std::uint32_t count) { sum += count; });
      if (!counts->add(before, 3)) return 1;
      std::vector<std::byte> again;
      io::Sink sink = io::Sink::memory(again);
      if (!counts->save(sink)) return 1;
      if (!draft::NgramCounts::load(io::Source::memory(again), {})) return 1;
    }
    if (size < 8) break;
    const std::uint64_t digest = Hash::of({bytes.data(), size - 8});
    std::memcpy(bytes.data() + size - 8, &digest, 8);
  }
  volatile unsigned sink = sum;
  (void)sink;
  return 0;
}
