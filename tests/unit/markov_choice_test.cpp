// The choice of a Markov head without most of its product, against the whole product: the same
// index whatever the logits, or none.
#include "draft/markov_choice.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "kedge/core/block.hpp"
#include "kedge/core/quantize.hpp"
#include "kedge/kernel/cpu/argmax.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/panel.hpp"
#include "kedge/kernel/cpu/quantize_rows.hpp"
#include "unit/io_support.hpp"

namespace kedge::tests {
namespace {

using namespace kedge_test;
using draft::MarkovChoice;

constexpr float infinite = std::numeric_limits<float>::infinity();

// A matrix of a Markov head in panels, what a token makes of it, and both ways to choose.
class Head {
 public:
  Head(Element element, std::int64_t rows, std::int64_t rank, cpu::Isa isa = cpu::Isa::best,
       unsigned seed = 1)
      : cpu_(*Cpu::create({isa, nullptr})), random_(seed), rows_(rows), rank_(rank) {
    values_.resize(static_cast<std::size_t>(rows * rank));
    for (float& v : values_) v = normal() / std::sqrt(static_cast<float>(rank));
    z_ = draw(rank);
    pack(element);
  }

  float normal() { return std::normal_distribution<float>()(random_); }
  std::vector<float> draw(std::int64_t count) {
    std::vector<float> x(static_cast<std::size_t>(count));
    for (float& v : x) v = normal();
    return x;
  }
  float* row(std::int64_t r) { return values_.data() + r * rank_; }
  float* z() { return z_.data(); }
  std::int64_t rank() const { return rank_; }
  float length() const {
    double sum = 0;
    for (const float v : z_) sum += double{v} * double{v};
    return static_cast<float>(std::sqrt(sum));
  }

  void pack(Element element) {
    const Tensor plain = tensor(values_.data(), Element::f32, rows_, rank_);
    std::vector<std::byte> quantized(static_cast<std::size_t>(rows_) * row_bytes(element, rank_));
    w2_ = tensor(quantized.data(), element, rows_, rank_);
    if (element == Element::f32) std::memcpy(w2_.data, plain.data, plain.bytes());  // NaNs too
    else
      for (std::int64_t r = 0; r < rows_; ++r)
        ASSERT_TRUE(ok(quantize_row(element, plain.row<float>(r), rank_, w2_.row<std::byte>(r))));
    packed_.assign(cpu::packed_bytes(element, rows_, rank_) + 64, std::byte{0});
    cpu::pack(w2_, packed_.data(), 0, cpu::panel_count(rows_));
    w2_.data = packed_.data();
    w2_.layout = Layout::panel16;
    reach_.assign(static_cast<std::size_t>(cpu::panel_count(rows_)), 0);
    ASSERT_TRUE(ok(MarkovChoice::measure(w2_, nullptr, reach_.data())));
    auto made = MarkovChoice::create(w2_, reach_.data(), cpu_, default_allocator());
    ASSERT_TRUE(ok(made));
    choice_ = *std::move(made);
  }
  MarkovChoice& choice() { return choice_; }

  std::int32_t quick(const std::vector<float>& logits) {
    const Tensor z = operand();
    return choice_.choose(z, logits.data(), largest(logits));
  }
  // Of matmul and argmax.
  std::int32_t whole(const std::vector<float>& logits) {
    std::vector<float> sums(logits);
    const Tensor y = tensor(sums.data(), Element::f32, 1, rows_);
    EXPECT_TRUE(ok(cpu_.run<op::Matmul>({operand(), w2_, y, y}, 1)));
    return largest(sums);
  }

 private:
  std::int32_t largest(std::vector<float> logits) {
    op::Argmax::Args a;
    a.x = tensor(logits.data(), Element::f32, 1, rows_);
    EXPECT_TRUE(ok(op::Argmax::infer(a)));
    std::int32_t index = 0;
    float value = 0;
    std::vector<std::int32_t> indices(static_cast<std::size_t>(a.chunk_index.width()));
    std::vector<float> best(indices.size());
    a.index.data = reinterpret_cast<std::byte*>(&index);
    a.value.data = reinterpret_cast<std::byte*>(&value);
    a.chunk_index.data = reinterpret_cast<std::byte*>(indices.data());
    a.chunk_value.data = reinterpret_cast<std::byte*>(best.data());
    EXPECT_TRUE(ok(cpu_.run<op::Argmax>(a, 1)));
    return index;
  }
  Tensor operand() {
    const Tensor x = tensor(z_.data(), Element::f32, 1, rank_);
    if (op::Matmul::activation(w2_.element) == Element::f32) return x;
    rounded_.resize(static_cast<std::size_t>(rank_ / 32));
    const Tensor y = tensor(rounded_.data(), Element::q8_act, 1, rank_);
    EXPECT_TRUE(ok(cpu_.run<op::QuantizeRows>({x, y}, 1)));
    return y;
  }

  Cpu cpu_;
  std::mt19937 random_;
  std::int64_t rows_, rank_;
  std::vector<float> values_, z_, reach_;
  std::vector<std::byte> packed_;
  std::vector<BlockQ8Act> rounded_;
  Tensor w2_;
  MarkovChoice choice_;
};

constexpr Element elements[] = {Element::f32, Element::f16, Element::bf16, Element::q8_0,
                                Element::q4_0};

TEST(MarkovChoice, IsTheChoiceOfTheWholeProduct) {
  int known = 0, tried = 0;
  for (const Element element : elements)
    for (const cpu::Isa isa : cpu::isas) {
      if (!cpu::isa_available(isa)) continue;
      for (const std::int64_t rows : {17, 600, 5003}) {
        Head head(element, rows, 64, isa, static_cast<unsigned>(rows));
        ASSERT_TRUE(head.choice().possible());
        for (int i = 0; i < 20; ++i) {
          // From as flat as the product itself to a token that nothing comes near.
          std::vector<float> logits = head.draw(rows);
          for (float& x : logits) x *= std::exp2(static_cast<float>(i % 10) - 3.0f);
          const std::int32_t quick = head.quick(logits);
          ++tried;
          if (quick == MarkovChoice::unknown) continue;
          ++known;
          ASSERT_EQ(quick, head.whole(logits)) << to_string(element) << ", " << rows << " rows";
        }
      }
    }
  EXPECT_GT(known, tried / 4);
  EXPECT_LT(known, tried) << "flat logits leave too much to multiply";
}

TEST(MarkovChoice, MultipliesLittleWhereADraftIsSure) {
  Head head(Element::q4_0, 32000, 256);
  std::vector<float> logits = head.draw(32000);
  for (float& x : logits) x *= 16;
  EXPECT_EQ(head.quick(logits), head.whole(logits));
  EXPECT_LT(head.choice().panels(), 100);
  // A token that nothing comes near is alone with its panel's.
  logits[12345] = 1000;
  EXPECT_EQ(head.quick(logits), 12345);
  EXPECT_EQ(head.choice().panels(), 1);
}

// A row that points where z does adds all that the bound allows: one that wins by next to nothing,
// and one that loses by it.
TEST(MarkovChoice, TheBoundIsMet) {
  for (const Element element : elements)
    for (int i = 0; i < 200; ++i) {
      Head head(element, 500, 64, cpu::Isa::best, static_cast<unsigned>(i));
      const std::int64_t there = 3 + 2 * i;
      for (std::int64_t j = 0; j < 64; ++j) head.row(there)[j] = 0.25f * head.z()[j];
      head.pack(element);
      const float most = 0.25f * head.length() * head.length();
      std::vector<float> logits(500, -1000);
      const std::size_t other = static_cast<std::size_t>((there + 250) % 500);
      logits[other] = 10;
      float own = 0;  // what the other row adds
      for (std::int64_t j = 0; j < 64; ++j)
        own += head.row(static_cast<std::int64_t>(other))[j] * head.z()[j];
      logits[static_cast<std::size_t>(there)] =
          10 + own - most * (1 + 1e-7f * static_cast<float>(i % 21 - 10));
      ASSERT_EQ(head.quick(logits), head.whole(logits)) << to_string(element) << ", seed " << i;
    }
}

TEST(MarkovChoice, EqualSumsGiveTheLowestIndex) {
  Head head(Element::q8_0, 500, 64);
  for (const std::int64_t r : {40, 41, 300})
    std::copy(head.row(40), head.row(40) + 64, head.row(r));
  head.pack(Element::q8_0);
  std::vector<float> logits(500, -100);
  for (const std::size_t r : {40, 41, 300}) logits[r] = 3;
  EXPECT_EQ(head.whole(logits), 40);
  EXPECT_EQ(head.quick(logits), 40);
  logits[40] = -100;
  EXPECT_EQ(head.quick(logits), 41);
  logits[41] = -100;
  EXPECT_EQ(head.quick(logits), 300);
}

TEST(MarkovChoice, WhatIsNoNumberIsLeftToTheWholeProduct) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Head head(Element::f32, 500, 64);
  std::vector<float> logits(500, -1);
  logits[7] = 100;
  ASSERT_EQ(head.quick(logits), 7);
  logits[499] = nan;
  EXPECT_EQ(head.quick(logits), MarkovChoice::unknown);
  logits[499] = infinite;
  EXPECT_EQ(head.quick(logits), 499);
  EXPECT_EQ(head.whole(logits), 499);
  std::fill(logits.begin(), logits.end(), -infinite);
  EXPECT_EQ(head.quick(logits), head.whole(logits));
  logits[7] = 100;
  head.z()[3] = nan;
  EXPECT_EQ(head.quick(logits), MarkovChoice::unknown);
  head.z()[3] = 1e38f;  // its square is infinite
  head.z()[4] = 1e38f;
  EXPECT_TRUE(head.quick(logits) == MarkovChoice::unknown ||
              head.quick(logits) == head.whole(logits));
  // Weights that nobody looked at.
  head.row(250)[5] = nan;
  head.pack(Element::f32);
  EXPECT_FALSE(head.choice().possible());
}

TEST(MarkovChoice, IsNotForFormatsWithMinima) {
  for (const Element e : {Element::q4_1, Element::q5_1, Element::q4_k, Element::q5_k})
    EXPECT_FALSE(MarkovChoice::bounded(e));
  for (const Element e : elements) EXPECT_TRUE(MarkovChoice::bounded(e));
}

}  // namespace
}  // namespace kedge::tests
