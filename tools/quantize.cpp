// kedge quantize: a GGUF file with its matrices in another format. Norms and other vectors stay as
// they are, as do the small matrices that decide what a recurrent state keeps; metadata is copied.
#include "kedge/core/quantize.hpp"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/command.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "common/output.hpp"
#include "kedge/io/gguf.hpp"
#include "kedge/io/gguf_writer.hpp"

namespace kedge::tools {

namespace {

struct QuantizeArguments {
  std::string model, out, type, otherwise, json;
  MachineOptions machine;
};

std::string target_names() {
  std::string names;
  for (unsigned i = 0; i < weight_formats; ++i)
    if (const auto element = static_cast<Element>(i); can_quantize(element))
      names += std::string(names.empty() ? "" : ", ") + to_string(element);
  return names;
}

Element target_named(const char* option, const std::string& name) {
  for (unsigned i = 0; i < weight_formats; ++i)
    if (const auto element = static_cast<Element>(i);
        can_quantize(element) && name == to_string(element))
      return element;
  bad_usage(option, "expected one of {}, found \"{}\"", target_names(), name);
}

// llama.cpp's number for files that are mostly of this type.
std::uint64_t file_type(Element element) {
  switch (element) {
    case Element::f16:
      return 1;
    case Element::q4_0:
      return 2;
    case Element::q8_0:
      return 7;
    case Element::q4_k:
      return 14;
    case Element::bf16:
      return 32;
    default:
      return 0;
  }
}

// The convolution and the gates of a delta rule: little to gain, and an error in a gate stays in
// the state.
bool is_small(const std::string& name) {
  for (const char* end : {".ssm_conv1d.weight", ".ssm_alpha.weight", ".ssm_beta.weight"})
    if (name.ends_with(end)) return true;
  return false;
}

// The format that a tensor gets; its own for what is not a matrix of weights.
Element target_of(const io::GgufTensor& t, const QuantizeArguments& o, Element type) {
  if (!t.supported || t.rank != 2 || t.extent[0] == 1 || is_small(t.name)) return t.element;
  const std::int64_t width = t.extent[1];
  if (width % traits(type).block == 0) return type;
  if (o.otherwise.empty())
    fail_with(Code::unsupported, t.name,
              "{} needs rows of a multiple of {} values, found {}; say with --otherwise what such "
              "matrices become",
              to_string(type), traits(type).block, width);
  const Element other = target_named("--otherwise", o.otherwise);
  if (width % traits(other).block != 0)
    fail_with(Code::unsupported, t.name, "{} needs rows of a multiple of {} values, found {}",
              to_string(other), traits(other).block, width);
  return other;
}

int quantize_file(const QuantizeArguments& o) {
  const Element type = target_named("--type", o.type);
  const std::unique_ptr<Executor> executor = o.machine.executor();
  const io::Gguf file = must(io::Gguf::open(o.model.c_str()));
  io::GgufWriter writer;
  for (const auto& [key, value] : file.metadata())
    if (key != "general.file_type" && key != "general.quantization_version")
      must(writer.add(key, value));
  must(writer.add_unsigned("general.file_type", file_type(type)));
  must(writer.add_unsigned("general.quantization_version", 2));

  std::vector<io::TensorBytes> borrowed;
  std::vector<QuantizedMatrix> made;
  std::size_t before = 0, after = 0, changed = 0;
  for (const io::GgufTensor& t : file.tensors()) {
    if (!t.supported)
      fail_with(Code::unsupported, t.name, "cannot read tensors of type {}",
                io::ggml_type(t.type).name);
    io::TensorBytes bytes = must(file.read(t));
    Tensor tensor = must(io::as_tensor(t, bytes));
    before += tensor.bytes();
    if (const Element target = target_of(t, o, type); target != t.element) {
      auto matrix = quantize(tensor, target, executor.get());
      if (!matrix) fail_with(matrix.error().code, t.name, "{}", std::string(matrix.error().reason));
      made.push_back(*std::move(matrix));
      tensor = made.back().tensor;
      ++changed;
    } else {
      borrowed.push_back(std::move(bytes));
    }
    after += tensor.bytes();
    must(writer.add_tensor(t.name, tensor));
  }
  must(writer.write(o.out.c_str()));
  fmt::print(text_stream(o.json), "{}: {} of {} tensors to {}, {} instead of {}\n", o.out, changed,
             file.tensors().size(), o.type, bytes_text(static_cast<double>(after)),
             bytes_text(static_cast<double>(before)));
  write_json(o.json, {{"tensors", file.tensors().size()},
                      {"changed", changed},
                      {"bytes_before", before},
                      {"bytes_after", after}});
  return 0;
}

}  // namespace

void add_quantize(CLI::App& root, Commands& commands) {
  CLI::App* app = root.add_subcommand("quantize", "Write a model's matrices in another format");
  const auto o = std::make_shared<QuantizeArguments>();
  app->add_option("--model", o->model, "GGUF file")->required();
  app->add_option("--type", o->type, "Format of the matrices: " + target_names())->required();
  app->add_option("--otherwise", o->otherwise,
                  "Format of matrices whose width is no multiple of the type's block");
  app->add_option("--out", o->out, "File to write")->required();
  app->add_option("--json", o->json, "Write what was done to this file; - is stdout");
  o->machine.add_threads(*app);
  commands.push_back({app, [o] { return quantize_file(*o); }});
}

}  // namespace kedge::tools
