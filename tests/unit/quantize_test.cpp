#include "kedge/core/quantize.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kedge/core/block.hpp"
#include "kedge/io/safetensors.hpp"
#include "unit/io_support.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace {

using namespace kedge;
using namespace kedge_test;

struct Golden {
  Golden() : file(io::Safetensors::open(KEDGE_GOLDEN_DIR "/quantize.safetensors")) {
    EXPECT_TRUE(ok(file));
  }
  std::vector<std::byte> bytes(const char* name) const {
    auto buffer = file->read(*file->tensor(name));
    EXPECT_TRUE(ok(buffer));
    return {buffer->data, buffer->data + buffer->size};
  }
  Result<io::Safetensors> file;
};

constexpr std::int64_t rows = 6, width = 512;

std::vector<std::byte> quantized(const std::vector<std::byte>& x, Element target,
                                 Executor* executor = nullptr) {
  auto matrix = quantize(tensor(x.data(), Element::f32, rows, width), target, executor);
  EXPECT_TRUE(ok(matrix));
  if (!matrix) return {};
  return {matrix->memory.data(), matrix->memory.data() + matrix->memory.size()};
}

std::uint64_t fnv1a(const std::vector<std::byte>& bytes) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001B3u;
  return hash;
}

TEST(Quantize, Q8_0AndQ4_0AreGgmlsBytes) {
  const Golden golden;
  const auto x = golden.bytes("x");
  EXPECT_EQ(quantized(x, Element::q8_0), golden.bytes("q8_0"));
  EXPECT_EQ(quantized(x, Element::q4_0), golden.bytes("q4_0"));
}

// Root of the mean square error, each value weighted as the search does.
double error(const float* x, const std::byte* row, bool weighted) {
  std::vector<float> y(static_cast<std::size_t>(width));
  decode_row(Element::q4_k, row, width, y.data());
  double sum = 0, weights = 0;
  for (std::int64_t i = 0; i < width; i += 32) {
    double square = 0;
    for (std::int64_t j = i; j < i + 32; ++j) square += double(x[j]) * x[j];
    for (std::int64_t j = i; j < i + 32; ++j) {
      const double w = weighted ? std::sqrt(square / 32) + std::fabs(x[j]) : 1.0;
      const double e = double(y[static_cast<std::size_t>(j)]) - x[j];
      sum += w * e * e;
      weights += w;
    }
  }
  return std::sqrt(sum / weights);
}

TEST(Quantize, Q4_KIsAsGoodAsGgmls) {
  const Golden golden;
  const auto x = golden.bytes("x"), theirs = golden.bytes("q4_k");
  const auto ours = quantized(x, Element::q4_k);
  ASSERT_EQ(ours.size(), theirs.size());
  const std::size_t step = row_bytes(Element::q4_k, width);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto* values = reinterpret_cast<const float*>(x.data()) + r * width;
    for (const bool weighted : {true, false}) {
      const double a = error(values, ours.data() + r * step, weighted);
      const double b = error(values, theirs.data() + r * step, weighted);
      RecordProperty("row_" + std::to_string(r) + (weighted ? "_weighted" : ""),
                     std::to_string(a / b));
      EXPECT_LE(a, 1.02 * b) << "row " << r << (weighted ? ", weighted" : "");
    }
  }
}

// The same on every machine, compiler and optimization level.
TEST(Quantize, Q4_KBytesArePinned) {
  EXPECT_EQ(fnv1a(quantized(Golden().bytes("x"), Element::q4_k)), 0x9D46F6ECADDF4C51u);
}

TEST(Quantize, ExecutorsAndModesDoNotMatter) {
  const auto x = Golden().bytes("x");
  for (const Element target : {Element::q8_0, Element::q4_0, Element::q4_k}) {
    const auto expected = quantized(x, target);
    auto pool = make_pool_executor(3);
    ASSERT_TRUE(ok(pool));
    EXPECT_EQ(quantized(x, target, pool->get()), expected) << to_string(target);
#if defined(__x86_64__)
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0xE040u);  // toward zero, FTZ, DAZ
    const auto other = quantized(x, target);
    _mm_setcsr(before);
    EXPECT_EQ(other, expected) << to_string(target);
#endif
  }
}

TEST(Quantize, RowsAreTheMatrixAndFloatsRound) {
  const auto x = Golden().bytes("x");
  for (const Element target :
       {Element::f32, Element::bf16, Element::q8_0, Element::q4_0, Element::q4_k}) {
    ASSERT_TRUE(can_quantize(target));
    const auto whole = quantized(x, target);
    std::vector<std::byte> row(row_bytes(target, width));
    for (std::size_t r = 0; r < rows; ++r) {
      ASSERT_TRUE(ok(quantize_row(target, reinterpret_cast<const float*>(x.data()) + r * width,
                                  width, row.data())));
      EXPECT_EQ(std::memcmp(row.data(), whole.data() + r * row.size(), row.size()), 0);
    }
    if (target == Element::f32) {
      EXPECT_EQ(whole, x);
    }
  }
  // from another format: what its values give
  const auto bf16 = quantized(x, Element::bf16);
  std::vector<float> decoded(static_cast<std::size_t>(rows * width));
  for (std::size_t r = 0; r < rows; ++r)
    decode_row(Element::bf16, bf16.data() + r * 2 * width, width, decoded.data() + r * width);
  auto direct = quantize(tensor(bf16.data(), Element::bf16, rows, width), Element::q4_k);
  auto by_floats = quantize(tensor(decoded.data(), Element::f32, rows, width), Element::q4_k);
  ASSERT_TRUE(ok(direct));
  ASSERT_TRUE(ok(by_floats));
  EXPECT_EQ(std::memcmp(direct->memory.data(), by_floats->memory.data(), direct->memory.size()), 0);
}

// Random blocks of every size of values: what is stored decodes close to what was given.
TEST(Quantize, DecodesWithinHalfAStep) {
  constexpr std::uint64_t seed = 20251122;
  std::mt19937_64 rng(seed);
  std::vector<float> x(256), y(256);
  std::vector<std::byte> row(row_bytes(Element::q8_0, 256));
  for (int trial = 0; trial < 300; ++trial) {
    const double size = std::ldexp(1.0, static_cast<int>(rng() % 30) - 18);
    float largest = 0;
    for (float& v : x) {
      v = static_cast<float>(size * (static_cast<double>(rng() >> 11) / 0x1p52 - 1.0));
      largest = std::fmax(largest, std::fabs(v));
    }
    // A scale is rounded to f16, by up to 2^-11 of it: 127 steps of q8_0 are then off by 0.062.
    const struct {
      Element target;
      double steps;  // of the largest value that a value may be off
    } limits[] = {{Element::q8_0, (0.501 + 127 * 0x1p-11) / 127},
                  {Element::q4_0, 1.01 / 8},
                  {Element::q4_k, 1.7 / 15}};
    for (const auto& limit : limits) {
      ASSERT_TRUE(ok(quantize_row(limit.target, x.data(), 256, row.data())));
      decode_row(limit.target, row.data(), 256, y.data());
      for (std::size_t i = 0; i < 256; ++i)
        ASSERT_LE(std::fabs(double(y[i]) - x[i]), limit.steps * largest + 256 * 0x1p-24)
            << to_string(limit.target) << ", trial " << trial << ", seed " << seed;
    }
  }
}

TEST(Quantize, RefusesWithTheValueThatIsWrong) {
  std::vector<float> x(4 * 256, 0.5f);
  std::vector<std::byte> out(x.size() * 4);
  const auto expect = [&](const Status& status, Code code, const char* text) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, code);
    EXPECT_NE(std::string(status.error().reason).find(text), std::string::npos)
        << status.error().reason;
  };
  const auto matrix = [&](Element target, Executor* executor = nullptr) {
    return quantize(tensor(x.data(), Element::f32, 4, 256), tensor(out.data(), target, 4, 256),
                    executor);
  };
  auto pool = make_pool_executor(3);
  ASSERT_TRUE(ok(pool));
  for (const Element target :
       {Element::f16, Element::bf16, Element::q8_0, Element::q4_0, Element::q4_k}) {
    x[3 * 256 + 7] = std::numeric_limits<float>::quiet_NaN();
    expect(matrix(target), Code::numeric, "row 3: value 7 is NaN");
    x[256 + 99] = -std::numeric_limits<float>::infinity();
    expect(matrix(target, pool->get()), Code::numeric, "row 1: value 99 is infinite");
    x[256 + 99] = x[3 * 256 + 7] = 0.5f;
    EXPECT_TRUE(ok(matrix(target, pool->get())));
    x[2 * 256 + 64] = 3.4e38f;
    expect(matrix(target), Code::numeric, "row 2: the values from ");
    x[2 * 256 + 64] = 0.5f;
  }
  expect(matrix(Element::q6_k), Code::unsupported, "no quantizer for q6_k");
  EXPECT_FALSE(can_quantize(Element::q6_k));
  EXPECT_FALSE(can_quantize(Element::q8_act));
  expect(quantize_row(Element::q4_k, x.data(), 32, out.data()), Code::invalid_argument, "256");
  expect(
      quantize(tensor(x.data(), Element::f32, 4, 256), tensor(out.data(), Element::q8_0, 3, 256)),
      Code::invalid_argument, "4 x 256");
  expect(
      quantize(tensor(x.data(), Element::i32, 4, 256), tensor(out.data(), Element::q8_0, 4, 256)),
      Code::unsupported, "i32");
}

}  // namespace
