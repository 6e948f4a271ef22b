// Tensors of an operator in safetensors files, with the formats that safetensors cannot name.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "kedge/core/tensor.hpp"
#include "kedge/io/safetensors.hpp"
#include "op/operator.hpp"

namespace kedge::tools {

class TensorFile {
 public:
  // `formats`: by tensor name, from --set NAME.format=q4_1. Such a tensor is u8 [rows, bytes] that
  // holds the blocks of a GGUF file, or already has that element.
  TensorFile(const std::string& path, const std::map<std::string, std::string>& formats);
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }

 private:
  io::Safetensors file_;
  std::deque<io::TensorBytes> bytes_;
  std::map<std::string, Tensor> tensors_;
};

// q8_act is written as the f32 values that it stands for.
void write_tensors(const std::string& path, const std::map<std::string, Tensor>& tensors,
                   Memory& memory);
Tensor decoded(const Tensor& tensor, Memory& memory);

}  // namespace kedge::tools
