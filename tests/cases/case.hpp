// Cases: one list per operator (tests/cases/<op>.hpp), used by the parity and exactness tests, by
// `kedge op --self-test` and by `kedge bench ops`. A case makes arguments for any number of rows
// from a seed; row r has the same contents whatever the number of rows, so results can be compared
// across splits.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kedge/core/block.hpp"
#include "kedge/core/tensor.hpp"
#include "kedge/kernel/cpu/phase.hpp"
#include "kedge/op/op.hpp"

namespace kedge::cases {

// Owns the memory of one case: every tensor lies between guard bands that intact() checks.
class Workspace {
 public:
  explicit Workspace(std::uint64_t seed) : seed_(seed) {}

  // A tensor filled with 0xFF bytes (NaN), so that a value nobody wrote is noticed.
  template <class... Extents>
  Tensor make(Element element, Extents... extents) {
    Tensor t = tensor(nullptr, element, extents...);
    t.data = allocate(t.bytes());
    return t;
  }
  // Nearly normal values of deviation `scale`, reproducible per (seed, stream, row): rows do not
  // depend on their count. The sum of four uniforms is quick and, unlike std::normal_distribution,
  // the same with every standard library.
  template <class... Extents>
  Tensor random(std::uint64_t stream, float scale, Extents... extents) {
    Tensor t = make(Element::f32, extents...);
    for (std::int64_t r = 0; r < t.rows(); ++r) {
      std::mt19937_64 rng(seed_ * 1000003 + stream * 7919 + static_cast<std::uint64_t>(r));
      float* row = t.row<float>(r);
      for (std::int64_t i = 0; i < t.width(); ++i) {
        const std::uint64_t bits = rng();
        const auto sum = static_cast<std::int32_t>((bits & 0xFFFF) + (bits >> 16 & 0xFFFF) +
                                                   (bits >> 32 & 0xFFFF) + (bits >> 48));
        row[i] = static_cast<float>(sum - 131070) * (scale * 2.6428e-5f);  // sqrt(3) / 65536
      }
    }
    return t;
  }
  std::uint64_t seed() const { return seed_; }

  // Remembers the contents of every tensor made so far; restore() brings them back.
  void save() {
    saved_.clear();
    for (const auto& [memory, bytes] : blocks_)
      saved_.emplace_back(memory + guard, memory + guard + bytes);
  }
  void restore() const {
    for (std::size_t b = 0; b < saved_.size(); ++b)
      if (!saved_[b].empty())
        std::memcpy(blocks_[b].first + guard, saved_[b].data(), saved_[b].size());
  }
  // The remembered contents of memory that a tensor of this workspace occupies.
  const std::byte* saved(const std::byte* data) const {
    for (std::size_t b = 0; b < saved_.size(); ++b) {
      const std::byte* first = blocks_[b].first + guard;
      if (data >= first && data < first + saved_[b].size())
        return saved_[b].data() + (data - first);
    }
    return nullptr;
  }

  // Bytes from `data` to the end of the memory it lies in; 0 if that is not this workspace's.
  std::size_t room(const std::byte* data) const {
    for (const auto& [memory, bytes] : blocks_)
      if (data >= memory + guard && data < memory + guard + bytes)
        return static_cast<std::size_t>(memory + guard + bytes - data);
    return 0;
  }

  bool intact() const {
    for (const auto& [memory, bytes] : blocks_)
      for (std::size_t i = 0; i < guard; ++i)
        if (memory[i] != std::byte{0xA5} || memory[guard + bytes + i] != std::byte{0xA5})
          return false;
    return true;
  }

  static constexpr std::size_t guard = 256;

  std::byte* allocate(std::size_t bytes) {
    struct Aligned {
      alignas(64) std::byte bytes[64];
    };
    const std::size_t total = bytes + 2 * guard;
    std::shared_ptr<Aligned[]> memory(new Aligned[(total + 63) / 64]);
    auto* first = reinterpret_cast<std::byte*>(memory.get());
    std::memset(first, 0xFF, total);
    std::memset(first, 0xA5, guard);
    std::memset(first + guard + bytes, 0xA5, guard);
    blocks_.push_back({first, bytes});
    owners_.push_back(std::move(memory));
    return first + guard;
  }

 private:
  std::uint64_t seed_;
  std::vector<std::pair<std::byte*, std::size_t>> blocks_;
  std::vector<std::shared_ptr<void>> owners_;
  std::vector<std::vector<std::byte>> saved_;
};

template <class Op>
struct Case {
  std::string name;  // shape and settings, in words that sort
  // Arguments for `rows` rows; outputs and scratch that are left without memory are inferred and
  // allocated by the test. A tensor whose first extent is the row count whatever that is holds one
  // entry per row: the exactness test cuts a call into several along it. Weights are in the layout
  // that a file has (row_major); the test packs them for a backend that wants panels.
  std::function<typename Op::Args(Workspace&, std::int64_t rows)> make;
  // |y - reference| <= tolerance * max|reference| of the row. 0: the bytes must be equal.
  double tolerance = 0;
  // Row counts worth testing beside 1..16.
  std::vector<std::int64_t> rows = {};
};

// Specialized by tests/cases/<op>.hpp.
template <class Op>
std::vector<Case<Op>> cases();

// How the generic tests treat an operator. Specialize it beside cases<Op>() where this is wrong.
template <class Op>
struct Harness {
  // False: a call cannot be cut into calls of fewer rows by cutting its tensors (rows of attention
  // see what earlier rows stored). The operator's own test then covers splits.
  static constexpr bool sliceable = true;
  // Turns arguments as a file has them into what the CPU's kernels take (packs weights, say).
  // Memory comes from the workspace.
  static Status prepare_cpu(Workspace&, typename Op::Args&, cpu::Isa) { return {}; }
};

}  // namespace kedge::cases
