// matmul, quantize_rows and row_lookup against the reference on every ISA of this processor, and
// against themselves: no row count, number of workers or ISA may change a byte.
#include "cases/matmul.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cases/quantize_rows.hpp"
#include "cases/row_lookup.hpp"
#include "kedge/backend/cpu.hpp"
#include "kedge/kernel/cpu/matmul_argmax.hpp"
#include "kedge/kernel/cpu/quantize_rows.hpp"
#include "kedge/kernel/cpu/row_lookup.hpp"
#include "kedge/kernel/ref/matmul.hpp"
#include "kedge/kernel/ref/quantize_rows.hpp"
#include "kedge/kernel/ref/row_lookup.hpp"

namespace kedge {
namespace {

using cases::packed;

constexpr std::uint64_t seed = 20240607;

std::vector<cpu::Isa> isas() {
  std::vector<cpu::Isa> list;
  for (const cpu::Isa isa : cpu::isas)
    if (cpu::isa_available(isa)) list.push_back(isa);
  return list;
}

void clear(const Tensor& t) { std::memset(t.data, 0xFF, t.bytes()); }

template <class Op>
void run(cpu::Isa isa, const typename Op::Args& args, std::int64_t rows, unsigned workers = 1) {
  auto executor = make_pool_executor(workers);
  ASSERT_TRUE(executor) << executor.error().reason;
  auto cpu = Cpu::create({isa, executor->get()});
  ASSERT_TRUE(cpu) << cpu.error().reason;
  const Status status = cpu->template run<Op>(args, rows);
  ASSERT_TRUE(status) << status.error().reason;
}

Tensor row_of(Tensor t, std::int64_t row) {
  t.data = t.row<std::byte>(row);
  t.extent[0] = 1;
  return t;
}
op::Matmul::Args row_of(const op::Matmul::Args& a, std::int64_t row) {
  op::Matmul::Args one = a;
  one.x = row_of(a.x, row);
  if (a.residual.rank > 1) one.residual = row_of(a.residual, row);
  one.y = row_of(a.y, row);
  return one;
}

// The largest difference that rounding allows: every partial sum is at most the sum of |terms|, and
// each of the steps rounds it by 2^-24. Terms of a block are exact integers times two scales; the
// reference rounds each decoded weight once more, those with a minimum twice.
double allowed(const op::Matmul::Args& a, std::int64_t row, std::int64_t n) {
  const auto width = static_cast<std::size_t>(a.x.width());
  std::vector<float> x(width), weight(width);
  decode_row(a.x.element, a.x.row<std::byte>(row), a.x.width(), x.data());
  cpu::decode_weight_row(a.weight, n, weight.data());
  double sum =
      a.residual.empty()
          ? 0.0
          : std::fabs(double(a.residual.row<float>(op::Matmul::is_bias(a.residual) ? 0 : row)[n]));
  for (std::size_t k = 0; k < width; ++k) sum += std::fabs(double(weight[k]) * double(x[k]));
  double steps = static_cast<double>(width) + 2;
  if (is_quantized(a.weight.element)) {
    steps = 3.0 * static_cast<double>(width) / 32 + 6;
    // d * q and m may cancel in the decoded weight, but not in the product's two terms
    if (const Element e = a.weight.element;
        e == Element::q4_1 || e == Element::q5_1 || e == Element::q4_k || e == Element::q5_k) {
      double largest = 0;
      for (std::size_t k = 0; k < width; ++k)
        largest = std::max(largest, std::fabs(double(weight[k])));
      for (std::size_t k = 0; k < width; ++k) sum += 3 * largest * std::fabs(double(x[k]));
    }
  }
  return steps * sum * 0x1p-24;
}

class MatmulCase : public testing::TestWithParam<cases::Case<op::Matmul>> {};

TEST_P(MatmulCase, EveryIsaAgreesWithTheReference) {
  constexpr std::int64_t rows = 5;
  cases::Workspace w(seed);
  op::Matmul::Args a = GetParam().make(w, rows);
  ASSERT_TRUE(Reference::run<op::Matmul>(a));
  const std::vector<float> expected(a.y.as<float>(), a.y.as<float>() + rows * a.y.width());
  a.weight = packed(w, a.weight);
  for (const cpu::Isa isa : isas()) {
    clear(a.y);
    run<op::Matmul>(isa, a, rows);
    for (std::int64_t i = 0; i < rows * a.y.width(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      ASSERT_LE(std::fabs(a.y.as<float>()[i] - expected[at]),
                allowed(a, i / a.y.width(), i % a.y.width()))
          << cpu::to_string(isa) << ", output " << i << ", seed " << seed;
    }
  }
  EXPECT_TRUE(w.intact());
}

TEST_P(MatmulCase, NoRowCountWorkerOrIsaChangesAByte) {
  constexpr std::int64_t room = 100;
  cases::Workspace w(seed);
  op::Matmul::Args a = GetParam().make(w, room);
  a.weight = packed(w, a.weight);
  // single rows on the scalar ISA are what everything else must equal
  for (std::int64_t r = 0; r < room; ++r) run<op::Matmul>(cpu::Isa::scalar, row_of(a, r), 1);
  const std::vector<std::byte> expected(a.y.data, a.y.data + a.y.bytes());
  std::vector<std::int64_t> counts = {17, 33, 100};
  for (std::int64_t n = 1; n <= 16; ++n) counts.push_back(n);
  for (const cpu::Isa isa : isas())
    for (const std::int64_t rows : counts)
      for (const unsigned workers : {1u, 2u, 3u}) {
        if (workers > 1 && rows != 1 && rows != 5 && rows != 17) continue;
        clear(a.y);
        run<op::Matmul>(isa, a, rows, workers);
        const std::size_t bytes = row_bytes(Element::f32, a.y.width());
        const auto used = static_cast<std::size_t>(rows) * bytes;
        ASSERT_EQ(std::memcmp(a.y.data, expected.data(), used), 0)
            << cpu::to_string(isa) << ", rows " << rows << ", workers " << workers << ", seed "
            << seed;
        for (std::size_t i = used; i < a.y.bytes(); ++i)  // only launch.rows rows are touched
          ASSERT_EQ(a.y.data[i], std::byte{0xFF}) << cpu::to_string(isa) << ", rows " << rows;
      }
  EXPECT_TRUE(w.intact());
}

std::string case_name(const std::string& text) {
  std::string name;
  for (const char c : text) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Matmul, MatmulCase, testing::ValuesIn(cases::cases<op::Matmul>()),
                         [](const auto& i) { return case_name(i.param.name); });

TEST(Matmul, ResidualMayBeTheOutput) {
  cases::Workspace w(seed);
  op::Matmul::Args a;
  a.x = cases::random_matrix(w, Element::q8_act, 1, 1.0f, 18, 64);
  a.weight = packed(w, cases::random_matrix(w, Element::q4_1, 2, 1.0f, 40, 64));
  a.residual = w.random(3, 2.0f, 18, 40);
  a.y = w.make(Element::f32, 18, 40);
  run<op::Matmul>(cpu::Isa::best, a, 18);
  op::Matmul::Args in_place = a;
  in_place.y = a.residual;
  run<op::Matmul>(cpu::Isa::best, in_place, 18);
  EXPECT_EQ(std::memcmp(in_place.y.data, a.y.data, a.y.bytes()), 0);
}

// The head gives the bytes of matmul and of argmax behind it, with its logits and without.
TEST(MatmulArgmax, IsMatmulAndArgmax) {
  constexpr std::int64_t most = 19, outputs = 1300, width = 256;
  for (const Element element : {Element::q4_0, Element::q6_k, Element::f16}) {
    cases::Workspace w(seed);
    const Tensor x = w.random(1, 1.0f, most, width);
    x.row<float>(3)[77] = std::numeric_limits<float>::quiet_NaN();
    op::MatmulArgmax::Args a;
    a.x = x;
    a.weight = packed(w, cases::random_matrix(w, element, 2, 1.0f, outputs, width));
    if (is_quantized(element)) {
      a.x = w.make(Element::q8_act, most, width);
      run<op::QuantizeRows>(cpu::Isa::best, {x, a.x}, most);
    }
    a.wanted = w.make(Element::i32, 1);
    ASSERT_TRUE(op::MatmulArgmax::infer(a));
    op::Argmax::Args apart;
    apart.x = w.make(Element::f32, most, outputs);
    ASSERT_TRUE(op::Argmax::infer(apart));
    for (Tensor* t : {&a.y, &a.index, &a.value, &a.chunk_index, &a.chunk_value, &apart.index,
                      &apart.value, &apart.chunk_index, &apart.chunk_value})
      t->data = w.allocate(t->bytes());
    for (const cpu::Isa isa : isas())
      for (const std::int64_t rows : {1, 5, 16, 19})
        for (const int wanted : {0, 1}) {
          SCOPED_TRACE(testing::Message() << to_string(element) << " on " << to_string(isa) << ", "
                                          << rows << " rows, wanted " << wanted);
          for (const Tensor* t : {&a.y, &a.index, &a.value}) clear(*t);
          *a.wanted.as<std::int32_t>() = wanted;
          run<op::MatmulArgmax>(isa, a, rows, 3);
          run<op::Matmul>(isa, {a.x, a.weight, {}, apart.x}, rows);
          run<op::Argmax>(isa, apart, rows);
          const auto same = [rows](const Tensor& p, const Tensor& q) {
            return std::memcmp(p.data, q.data, static_cast<std::size_t>(rows * p.width()) * 4) == 0;
          };
          EXPECT_TRUE(same(a.index, apart.index));
          EXPECT_TRUE(same(a.value, apart.value));
          EXPECT_TRUE(rows <= 3 || *a.index.row<std::int32_t>(3) == -1);
          EXPECT_TRUE(wanted == 0 || same(a.y, apart.x));
        }
    EXPECT_TRUE(w.intact());
  }
}

TEST(Matmul, NaNInActivationsReachesTheOutput) {
  for (const Element element : cases::weight_elements)
    for (const cpu::Isa isa : isas()) {
      cases::Workspace w(seed);
      op::Matmul::Args a;
      const Tensor x = w.random(1, 1.0f, 2, 256);
      x.row<float>(1)[77] = std::numeric_limits<float>::quiet_NaN();
      a.x = x;
      if (is_quantized(element)) {
        a.x = w.make(Element::q8_act, 2, 256);
        run<op::QuantizeRows>(isa, {x, a.x}, 2);
      }
      a.weight = packed(w, cases::random_matrix(w, element, 2, 1.0f, 20, 256));
      a.y = w.make(Element::f32, 2, 20);
      run<op::Matmul>(isa, a, 2);
      for (int n = 0; n < 20; ++n) {
        EXPECT_TRUE(std::isfinite(a.y.row<float>(0)[n])) << to_string(element);
        EXPECT_TRUE(std::isnan(a.y.row<float>(1)[n])) << to_string(element);
      }
    }
}

TEST(Matmul, RefusesWhatItCannotMultiply) {
  cases::Workspace w(seed);
  op::Matmul::Args a;
  a.x = w.random(1, 1.0f, 2, 64);
  a.weight = cases::random_matrix(w, Element::q8_0, 2, 1.0f, 16, 64);
  a.y = w.make(Element::f32, 2, 16);
  auto cpu = Cpu::create({});
  ASSERT_TRUE(cpu);
  Tensor packed_weight = packed(w, a.weight);
  std::swap(a.weight, packed_weight);
  const Status f32_into_blocks = cpu->run<op::Matmul>(a, 2);  // the CPU has int8 products only
  ASSERT_FALSE(f32_into_blocks);
  EXPECT_EQ(f32_into_blocks.error().code, Code::unsupported);
  EXPECT_NE(std::string(f32_into_blocks.error().reason).find("q8_act"), std::string::npos);
  std::swap(a.weight, packed_weight);
  a.x = cases::random_matrix(w, Element::f16, 1, 1.0f, 2, 64);
  EXPECT_FALSE(op::Matmul::check(a));
  a.x = cases::random_matrix(w, Element::q8_act, 1, 1.0f, 2, 64);
  ASSERT_TRUE(op::Matmul::check(a));
  const Status row_major = cpu->run<op::Matmul>(a, 2);
  ASSERT_FALSE(row_major);
  EXPECT_EQ(row_major.error().code, Code::unsupported);
  a.y = w.make(Element::f32, 2, 17);
  EXPECT_FALSE(op::Matmul::check(a));
}

TEST(Panel, DecodesToTheBitsOfTheFile) {
  for (const Element element : cases::weight_elements)
    for (const int rows : {1, 15, 16, 17, 40})
      for (const int width : {1, 33, 32, 96, 256, 768}) {
        if (width % static_cast<int>(traits(element).block) != 0) continue;
        cases::Workspace w(seed);
        const Tensor weight = w.make(element, rows, width);
        std::mt19937_64 rng(seed);  // every bit pattern, NaN and infinite scales included
        for (std::size_t i = 0; i < weight.bytes(); ++i)
          weight.data[i] = static_cast<std::byte>(rng() & 255);
        const Tensor panels = packed(w, weight);
        std::vector<float> expected(static_cast<std::size_t>(width)), found(expected);
        for (int r = 0; r < rows; ++r) {
          cpu::decode_weight_row(weight, r, expected.data());
          cpu::decode_weight_row(panels, r, found.data());
          ASSERT_EQ(std::memcmp(found.data(), expected.data(), found.size() * 4), 0)
              << to_string(element) << ", row " << r << " of " << rows << ", width " << width
              << ", seed " << seed;
        }
        const std::size_t bytes = cpu::packed_bytes(element, rows, width);
        if (rows % 16 == 0) {
          EXPECT_EQ(bytes, weight.bytes());
        }
        // packing range by range gives the same bytes
        cases::Workspace other(seed);
        std::byte* parts = other.allocate(bytes);
        for (std::int64_t p = cpu::panel_count(rows) - 1; p >= 0; --p)
          cpu::pack(weight, parts, p, 1);
        EXPECT_EQ(std::memcmp(parts, panels.data, bytes), 0);
        EXPECT_TRUE(w.intact() && other.intact());
      }
}

TEST(QuantizeRows, EveryIsaGivesTheBytesOfTheReference) {
  for (const auto& c : cases::cases<op::QuantizeRows>()) {
    cases::Workspace w(seed);
    const op::QuantizeRows::Args a = c.make(w, 33);
    ASSERT_TRUE(Reference::run<op::QuantizeRows>(a));
    const std::vector<std::byte> expected(a.y.data, a.y.data + a.y.bytes());
    for (const cpu::Isa isa : isas())
      for (const std::int64_t rows : {1, 3, 16, 33}) {
        clear(a.y);
        run<op::QuantizeRows>(isa, a, rows, 2);
        const std::size_t used =
            static_cast<std::size_t>(rows) * row_bytes(Element::q8_act, a.y.width());
        ASSERT_EQ(std::memcmp(a.y.data, expected.data(), used), 0)
            << c.name << ", " << cpu::to_string(isa) << ", rows " << rows << ", seed " << seed;
        for (std::size_t i = used; i < a.y.bytes(); ++i) ASSERT_EQ(a.y.data[i], std::byte{0xFF});
      }
    EXPECT_TRUE(w.intact());
  }
}

TEST(QuantizeRows, UnusualValuesKeepTheRule) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const float values[] = {0.0f,   -0.0f,   1e-45f,   0x1p-126f, 0x1p-101f, 0x1p-100f, 1.0f,
                          -3e38f, 3.4e38f, infinity, -infinity, nan,       -nan,      2e9f};
  std::mt19937_64 rng(seed);
  for (int trial = 0; trial < 2000; ++trial) {
    cases::Workspace w(seed + static_cast<std::uint64_t>(trial));
    op::QuantizeRows::Args a;
    a.x = w.random(1, trial % 3 == 0 ? 1e-38f : trial % 3 == 1 ? 1.0f : 1e37f, 1, 32);
    bool finite = true;
    for (int i = 0; i < trial % 7; ++i) {
      float& x = a.x.as<float>()[rng() % 32];
      x = values[rng() % std::size(values)];
    }
    for (int i = 0; i < 32; ++i) finite = finite && std::isfinite(a.x.as<float>()[i]);
    a.y = w.make(Element::q8_act, 1, 32);
    ASSERT_TRUE(Reference::run<op::QuantizeRows>(a));
    const std::vector<std::byte> expected(a.y.data, a.y.data + a.y.bytes());
    EXPECT_EQ(std::isnan(a.y.as<BlockQ8Act>()->d), !finite);
    for (const cpu::Isa isa : isas()) {
      clear(a.y);
      run<op::QuantizeRows>(isa, a, 1);
      ASSERT_EQ(std::memcmp(a.y.data, expected.data(), expected.size()), 0)
          << cpu::to_string(isa) << ", trial " << trial << ", seed " << seed;
    }
  }
}

TEST(RowLookup, GivesTheBytesOfTheReferenceInBothLayouts) {
  for (const auto& c : cases::cases<op::RowLookup>()) {
    cases::Workspace w(seed);
    op::RowLookup::Args a = c.make(w, 33);
    ASSERT_TRUE(Reference::run<op::RowLookup>(a));
    const std::vector<std::byte> expected(a.y.data, a.y.data + a.y.bytes());
    const Tensor layouts[] = {a.weight, packed(w, a.weight)};
    for (const Tensor& weight : layouts)
      for (const cpu::Isa isa : isas()) {
        a.weight = weight;
        clear(a.y);
        run<op::RowLookup>(isa, a, 33, 3);
        ASSERT_EQ(std::memcmp(a.y.data, expected.data(), expected.size()), 0)
            << c.name << ", " << cpu::to_string(isa) << ", seed " << seed;
      }
    EXPECT_TRUE(w.intact());
  }
}

TEST(RowLookup, FillsTheRowOfAnUnknownTokenWithNaN) {
  for (const cpu::Isa isa : isas())
    for (const std::int32_t token : {-1, 16, INT32_MIN, INT32_MAX}) {
      cases::Workspace w(seed);
      op::RowLookup::Args a;
      a.token = w.make(Element::i32, 1);
      a.token.as<std::int32_t>()[0] = token;
      a.weight = cases::random_matrix(w, Element::q4_0, 1, 1.0f, 16, 64);
      a.y = w.make(Element::f32, 1, 64);
      std::memset(a.y.data, 0, a.y.bytes());
      run<op::RowLookup>(isa, a, 1);
      for (int i = 0; i < 64; ++i) ASSERT_TRUE(std::isnan(a.y.as<float>()[i]));
    }
}

}  // namespace
}  // namespace kedge
