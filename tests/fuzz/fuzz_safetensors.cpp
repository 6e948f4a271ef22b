#include "fuzz/entries.hpp"
#include "kedge/io/safetensors.hpp"

int fuzz_safetensors(const std::uint8_t* data, std::size_t size) {
  using namespace kedge;
  auto file =
      io::Safetensors::open(io::Source::memory({reinterpret_cast<const std::byte*>(data), size}));
  if (!file) return 0;
  unsigned sum = 0;
  for (const io::SafeTensor& tensor : file->tensors()) {
    auto bytes = file->read(tensor);
    if (!bytes) continue;
    for (std::size_t i = 0; i < bytes->size; ++i) sum += static_cast<unsigned>(bytes->data[i]);
    [[maybe_unused]] const auto view = io::as_tensor(tensor, *bytes);
    if (file->tensor(tensor.name) == nullptr) __builtin_trap();
  }
  volatile unsigned sink = sum;
  (void)sink;
  return 0;
}
