#include "op/tensor_file.hpp"

#include "common/failure.hpp"
#include "kedge/core/block.hpp"

namespace kedge::tools {

namespace {

Element weight_format(const std::string& name, const std::string& text) {
  std::string known;
  for (unsigned i = 0; i < static_cast<unsigned>(Element::count); ++i) {
    const auto element = static_cast<Element>(i);
    if (!traits(element).weight) continue;
    if (text == to_string(element)) return element;
    known += std::string(known.empty() ? "" : ", ") + to_string(element);
  }
  bad_usage("--set " + name + ".format", "expected one of {}, found \"{}\"", known, text);
}

Tensor raw_blocks(const std::string& name, Element element, const io::SafeTensor& stored,
                  const std::byte* data) {
  const ElementTraits format = traits(element);
  if (stored.type != io::SafeType::u8 || stored.shape.size() != 2)
    fail_with(
        Code::invalid_argument, name,
        "format {} wants u8 [rows, bytes] with the blocks of a GGUF file, found {} of rank {}",
        format.name, io::to_string(stored.type), stored.shape.size());
  if (stored.shape[1] % format.bytes != 0)
    fail_with(Code::invalid_argument, name,
              "a row of {} bytes is no whole number of {}-byte {} blocks", stored.shape[1],
              format.bytes, format.name);
  return tensor(data, element, stored.shape[0], stored.shape[1] / format.bytes * format.block);
}

}  // namespace

TensorFile::TensorFile(const std::string& path, const std::map<std::string, std::string>& formats)
    : file_(must(io::Safetensors::open(path.c_str()))) {
  for (const auto& [name, format] : formats) {
    weight_format(name, format);
    if (file_.tensor(name) == nullptr)
      fail_with(Code::not_found, path, "--set {}.format names a tensor that is not there", name);
  }
  for (const io::SafeTensor& stored : file_.tensors()) {
    bytes_.push_back(must(file_.read(stored)));
    const auto format = formats.find(stored.name);
    if (format != formats.end()) {
      const Element element = weight_format(stored.name, format->second);
      if (stored.type == io::SafeType::u8) {
        tensors_[stored.name] = raw_blocks(stored.name, element, stored, bytes_.back().data);
        continue;
      }
      const Tensor t = must(io::as_tensor(stored, bytes_.back()));
      if (t.element != element) raw_blocks(stored.name, element, stored, nullptr);  // says why not
    } else if (stored.type == io::SafeType::u8) {
      fail_with(Code::invalid_argument, stored.name,
                "u8 bytes need --set {}.format=q8_0 or another format of weights", stored.name);
    }
    tensors_[stored.name] = must(io::as_tensor(stored, bytes_.back()));
  }
}

Tensor decoded(const Tensor& t, Memory& memory) {
  if (t.element != Element::q8_act) return t;
  Tensor plain = t;
  plain.element = Element::f32;
  memory.give_memory(plain);
  for (std::int64_t r = 0; r < t.rows(); ++r)
    decode_row(t.element, t.row<std::byte>(r), t.width(), plain.row<float>(r));
  return plain;
}

void write_tensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                   Memory& memory) {
  io::SafetensorsWriter writer;
  for (const auto& [name, t] : tensors) must(writer.add_tensor(name, decoded(t, memory)));
  must(writer.write(path.c_str()));
}

}  // namespace kedge::tools
