// One product with a matrix larger than the caches, several of which take turns.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "bench/streamed.hpp"
#include "cases/quantized.hpp"
#include "common/failure.hpp"
#include "kedge/backend/reference.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/ref/matmul.hpp"

namespace kedge::tools {

namespace {

// The reference multiplies in double and takes its time: it looks at the first and last outputs.
constexpr std::int64_t checked_outputs = 48;
constexpr double allowed = 2e-5;  // of the largest output, as in tests/cases/matmul.hpp
constexpr std::int64_t most_rows = 16;

// A matrix as a file has it: random rows up to `distinct`, then the same again, rotated in memory
// by where they stand. What weights say does not change what products cost.
Tensor matrix(cases::Workspace& w, Element element, std::int64_t rows, std::int64_t width) {
  constexpr std::int64_t distinct = 1024;
  const Tensor some = cases::random_matrix(w, element, 2, 0.5f, std::min(rows, distinct), width);
  const Tensor t = w.make(element, rows, width);
  const std::size_t bytes = row_bytes(element, width);
  for (std::int64_t r = 0; r < rows; ++r)
    std::memcpy(t.row<std::byte>(r), some.row<std::byte>(r % some.rows()), bytes);
  return t;
}

double difference(const Tensor& y, std::int64_t first, const Tensor& expected, std::int64_t rows) {
  double worst = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    double largest = 0, off = 0;
    for (std::int64_t i = 0; i < expected.width(); ++i) {
      const double e = expected.row<float>(r)[i];
      off = std::fmax(off, std::fabs(y.row<float>(r)[first + i] - e));
      largest = std::fmax(largest, std::fabs(e));
      if (std::isnan(y.row<float>(r)[first + i])) off = HUGE_VAL;
    }
    worst = std::fmax(worst, off / largest);
  }
  return worst;
}

Tensor first_rows(Tensor t, std::int64_t rows) {
  t.extent[0] = rows;
  return t;
}

}  // namespace

Curve stream_matmul(const StreamedOptions& o, Element element, cpu::Isa isa, Executor& executor,
                    Machine& machine) {
  const std::size_t cross = o.shape.find('x');
  const std::int64_t n = std::atoll(o.shape.c_str());
  const std::int64_t k = cross == std::string::npos ? 0 : std::atoll(o.shape.c_str() + cross + 1);
  if (n < checked_outputs || k < 1 || k % traits(element).block != 0)
    bad_usage("--shape", "expected N x K with N at least {} and K divisible by {}, found {}",
              checked_outputs, traits(element).block, o.shape);
  Curve curve;
  curve.op = "matmul";
  curve.name = fmt::format("{} {} x {}", to_string(element), n, k);
  curve.isa = isa;
  curve.family = family_of(isa, element);
  curve.widths = o.widths;
  if (curve.widths.empty())
    for (std::int64_t rows = 1; rows <= most_rows; ++rows) curve.widths.push_back(rows);
  const std::int64_t most = *std::max_element(curve.widths.begin(), curve.widths.end());

  cases::Workspace work(1);
  const Cpu cpu = must(Cpu::create({isa, &executor}));
  const Tensor x = cases::random_matrix(work, op::Matmul::activation(element), 1, 1.0f, most, k);
  const Tensor y = work.make(Element::f32, most, n);
  const std::size_t bytes = cpu::packed_bytes(element, n, k);
  const auto operands = std::max<std::size_t>(
      2, (static_cast<std::size_t>(o.rotation_mib) * 1048576 + bytes - 1) / bytes);
  const Buffer weights = must(Buffer::create(bytes * operands, "bench weights"));
  op::Matmul::Args args;
  Tensor packed = tensor(weights.data(), element, n, k);
  packed.layout = Layout::panel16;
  const auto call = [&](std::size_t operand, std::int64_t rows) {
    args.weight = packed;
    args.weight.data = weights.data() + operand * bytes;
    args.x = first_rows(x, rows);
    args.y = first_rows(y, rows);
    must(cpu.run<op::Matmul>(args, rows));
  };
  {
    cases::Workspace files(1);
    const Tensor stored = matrix(files, element, n, k);
    cpu::pack(stored, weights.data(), 0, cpu::panel_count(n));
    for (std::size_t i = 1; i < operands; ++i)
      std::memcpy(weights.data() + i * bytes, weights.data(), bytes);
    // Verified before it is timed: every width against the reference, and its bytes against the
    // widest call's.
    const std::int64_t checked = std::min(most, most_rows);
    Buffer widest = must(Buffer::create(y.bytes(), "bench outputs"));
    call(0, most);
    std::memcpy(widest.data(), y.data, y.bytes());
    for (const std::int64_t first : {std::int64_t{0}, n - checked_outputs}) {
      op::Matmul::Args expected;
      expected.weight = tensor(stored.row<std::byte>(first), element, checked_outputs, k);
      expected.x = first_rows(x, checked);
      expected.y = files.make(Element::f32, checked, checked_outputs);
      must(Reference::run<op::Matmul>(expected));
      curve.difference = std::fmax(curve.difference, difference(y, first, expected.y, checked));
    }
    for (const std::int64_t rows : curve.widths) {
      call(0, rows);
      if (std::memcmp(widest.data(), y.data, first_rows(y, rows).bytes()) != 0)
        fail_with(Code::numeric, "bench matmul", "{}, {}: {} rows give other bytes than {}",
                  curve.name, to_string(isa), rows, most);
    }
    if (!(curve.difference <= allowed))
      fail_with(Code::numeric, "bench matmul", "{}, {}: {:.3g} from the reference, at most {:.3g}",
                curve.name, to_string(isa), curve.difference, allowed);
  }
  curve.bytes = static_cast<double>(bytes);
  for (const std::int64_t rows : curve.widths) {
    curve.call_bytes.push_back(
        static_cast<double>(bytes + first_rows(x, rows).bytes() + first_rows(y, rows).bytes()));
    curve.multiply_adds.push_back(static_cast<double>(rows) * static_cast<double>(n * k));
  }
  take_curve(curve, machine, operands, o.repetitions, 7, call);
  return curve;
}

}  // namespace kedge::tools
