// Tiny random models as GGUF files in memory, in every weight format and architecture. Their scales
// are chosen so that logits are of order one and the greedy text wanders: with a constant text the
// checks of speculation would say nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "kedge/model/model.hpp"
#include "support/weight_elements.hpp"

namespace kedge::tests {

struct TinySpec {
  std::uint64_t seed = 1;
  Element element = Element::f32;  // of every matrix that is not named here
  Element value = Element::count, down = Element::count, embedding = Element::count;
  Element output = Element::count;  // count: as `element`
  bool tied = false;                // no output matrix
  std::int64_t layers = 2, width = 64, feed_forward = 96;
  std::int64_t heads = 4, kv_heads = 2, head_dim = 16;
  std::int64_t vocabulary = 131, context = 1280;
  std::string architecture = "llama";
  bool qkv_bias = false, output_bias = false, feed_forward_bias = false, qk_norm = false;

  std::string describe() const;
};

// What a test is instantiated with: a plain llama of a format, or one of `tiny_architectures`.
struct TinyKind {
  TinyKind(Element e, const char* kind = "llama") : element(e), architecture(kind) {}
  bool plain() const { return architecture == "llama"; }
  bool operator<(const TinyKind& o) const {
    return std::tie(element, architecture) < std::tie(o.element, o.architecture);
  }
  Element element;
  std::string_view architecture;  // or "biased": a llama with biases everywhere
};
inline const TinyKind tiny_architectures[] = {
    {Element::q8_0, "qwen2"}, {Element::q4_0, "qwen3"}, {Element::f16, "biased"}};
// A plain llama of every format.
inline std::vector<TinyKind> tiny_formats() {
  return {std::begin(cases::weight_elements), std::end(cases::weight_elements)};
}
inline const char* to_string(const TinyKind& kind) {
  return kind.plain() ? to_string(kind.element) : kind.architecture.data();
}
// Whether this kind takes the n-th combination of what is too much for all: every third, each kind
// another third, so that over all kinds every combination is met several times.
inline bool takes_combination(const TinyKind& kind, int n) {
  return (n + static_cast<int>(kind.element) + static_cast<int>(kind.architecture.size())) % 3 == 0;
}
inline void PrintTo(const TinyKind& kind, std::ostream* out) { *out << to_string(kind); }

// A model of this kind, small, with its own mix of shapes and side formats.
TinySpec tiny_spec(TinyKind kind, std::uint64_t seed = 1);

struct TinyTensor {
  std::string name;
  Element element = Element::f32;
  std::int64_t rows = 0;  // 0: a vector
  std::int64_t width = 0;
  std::vector<std::byte> bytes;
};

// What a file will say; tests break it before it is written.
struct TinyFile {
  TinySpec spec;
  std::string architecture;  // what general.architecture says
  std::vector<TinyTensor> tensors;

  TinyTensor& tensor(const std::string& name);
  void erase(const std::string& name);
  std::vector<std::byte> write() const;
};

TinyFile make_tiny(const TinySpec& spec);

Result<std::shared_ptr<const Model>> load_bytes(const std::vector<std::byte>& bytes,
                                                Executor* executor = nullptr,
                                                bool check_weights = true);
// Null, and a failure of the test, when it cannot be loaded.
std::shared_ptr<const Model> load_tiny(const TinySpec& spec);

std::vector<std::int32_t> random_tokens(std::uint64_t seed, std::int64_t count,
                                        std::int64_t vocabulary);

// What gtest appends to the names of instances.
struct ElementName {
  template <class Info>
  std::string operator()(const Info& info) const {
    return to_string(info.param);
  }
};

}  // namespace kedge::tests
