#include "fuzz/entries.hpp"
#include "kedge/model/model.hpp"

int fuzz_gguf(const std::uint8_t* data, std::size_t size) {
  using namespace kedge;
  auto file = io::Gguf::open(io::Source::memory({reinterpret_cast<const std::byte*>(data), size}));
  if (!file) return 0;
  unsigned sum = 0;
  for (const io::GgufTensor& tensor : file->tensors()) {
    auto bytes = file->read(tensor);
    if (!bytes) continue;
    for (std::size_t i = 0; i < bytes->size; ++i) sum += static_cast<unsigned>(bytes->data[i]);
    [[maybe_unused]] const auto view = io::as_tensor(tensor, *bytes);
  }
  for (const auto& [key, value] : file->metadata()) {
    [[maybe_unused]] const auto integer = file->uint(key);
    [[maybe_unused]] const auto number = file->number(key);
    [[maybe_unused]] const auto text = file->string(key);
    [[maybe_unused]] const auto array = file->array(key);
  }
  Model::Options options;
  options.memory_budget = std::uint64_t{64} << 20;
  [[maybe_unused]] const auto model = Model::load(*file, options);
  volatile unsigned sink = sum;
  (void)sink;
  return 0;
}
