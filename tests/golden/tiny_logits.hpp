// FNV-1a of the logits of tests/exact/width_test.cpp's texts (scalar, one row at a time): the same
// for every compiler, optimization level and machine. The test prints a new value when one differs.
#pragma once

#include <cstdint>
#include <string_view>

#include "kedge/core/element.hpp"

namespace kedge::tests {

constexpr std::uint64_t tiny_logits_hash(kedge::Element element) {
  switch (element) {
    case kedge::Element::f32:
      return 0xB8AEE1E64B96D924;
    case kedge::Element::f16:
      return 0x1B752434C4205DFA;
    case kedge::Element::bf16:
      return 0x5E304251ECA6F382;
    case kedge::Element::q8_0:
      return 0x87EDB0355694D1C2;
    case kedge::Element::q4_0:
      return 0xC9ACB22E17850B4E;
    case kedge::Element::q4_1:
      return 0xC79B6339B87A79F2;
    case kedge::Element::q6_k:
      return 0x2E15CF6BCEFB590F;
    case kedge::Element::q5_0:
      return 0x19B41252E4EF6B86;
    case kedge::Element::q5_1:
      return 0x6B9B1D33A377B8CF;
    case kedge::Element::q4_k:
      return 0x7CC167F8755A3647;
    case kedge::Element::q5_k:
      return 0x38F6468BBA1B4ACE;
    default:
      return 0;
  }
}

// Of the other architectures, by the name of their kind (tests/exact/tiny_model.hpp).
constexpr std::uint64_t tiny_logits_hash(std::string_view kind) {
  if (kind == "qwen2") return 0x8B0068B1EE84516D;
  if (kind == "qwen3") return 0xA79AC933A03676E7;
  if (kind == "biased") return 0xFC6B908183C14E2A;
  return 0;
}

}  // namespace kedge::tests
