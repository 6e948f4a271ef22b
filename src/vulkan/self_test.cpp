// Known answers, asked for before a device's first plan: some drivers claim features that they get
// wrong, and garbage is worse than the slower variant. Reductions by subgroup shuffles are tried
// first; a device whose answer is wrong loses that feature, and one that is wrong without it, too,
// is refused.
#include <cmath>

#include "kedge/op/matmul.hpp"
#include "kedge/op/rms_norm.hpp"
#include "run.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

namespace {

constexpr std::int64_t rows = 3, width = 100, outputs = 5;
constexpr float eps = 1e-5f;

// Small numbers of both signs without a pattern that a wrong lane could repeat.
float value(std::int64_t i) noexcept {
  return static_cast<float>((i * 7919 + 104729) % 2003 - 1001) / 1000.0f;
}

struct Memory {
  float x[rows * width], norm[width], weight[outputs * width], normed[rows * width],
      product[rows * outputs];

  Memory() noexcept {
    for (std::int64_t i = 0; i < rows * width; ++i) x[i] = value(i);
    for (std::int64_t i = 0; i < width; ++i) norm[i] = value(i + 5000);
    for (std::int64_t i = 0; i < outputs * width; ++i) weight[i] = value(i + 9000);
  }
};

Status expect(const char* op, const float* found, const double* expected,
              std::int64_t count) noexcept {
  double error = 0, total = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const double d = found[i] - expected[i];
    error += d * d;
    total += expected[i] * expected[i];
  }
  // Written so that a NaN fails.
  if (error <= 1e-10 * total) return {};
  return fail(Code::device, op, "a known answer came out wrong: squared error %g of %g", error,
              total);
}

Status run(Device& device, const char* op, const void* args,
           std::initializer_list<Arguments::Item> items) {
  const PlanKernel* const kernel = device.kernel(op);
  Arguments list;
  for (const Arguments::Item& item : items) list.item[list.count++] = item;
  return run_operator(device, op, list, kernel->record, args, rows);
}

Arguments::Item item(const char* name, const Tensor& tensor, op::Role role) noexcept {
  return {name, tensor, role, tensor.bytes()};
}

Status known_answers(Device& device) {
  const auto memory = std::make_unique<Memory>();
  Memory& m = *memory;
  const Tensor x = tensor(m.x, Element::f32, rows, width),
               norm = tensor(m.norm, Element::f32, width),
               normed = tensor(m.normed, Element::f32, rows, width),
               weight = tensor(m.weight, Element::f32, outputs, width),
               product = tensor(m.product, Element::f32, rows, outputs);
  const op::RmsNorm::Args norm_args{x, norm, normed, eps};
  KEDGE_CHECK(run(device, op::RmsNorm::name, &norm_args,
                  {item("x", x, op::Role::input), item("weight", norm, op::Role::input),
                   item("y", normed, op::Role::output)}));
  double expected[rows * width], products[rows * outputs];
  for (std::int64_t r = 0; r < rows; ++r) {
    double squares = 0;
    for (std::int64_t i = 0; i < width; ++i)
      squares += double{m.x[r * width + i]} * m.x[r * width + i];
    const double scale = 1 / std::sqrt(squares / width + double{eps});
    for (std::int64_t i = 0; i < width; ++i)
      expected[r * width + i] = m.x[r * width + i] * scale * m.norm[i];
    for (std::int64_t o = 0; o < outputs; ++o) {
      double& sum = products[r * outputs + o] = 0;
      for (std::int64_t i = 0; i < width; ++i)
        sum += double{m.x[r * width + i]} * m.weight[o * width + i];
    }
  }
  KEDGE_CHECK(expect(op::RmsNorm::name, m.normed, expected, rows * width));

  const op::Matmul::Args product_args{x, weight, {}, product};
  KEDGE_CHECK(run(device, op::Matmul::name, &product_args,
                  {item("x", x, op::Role::input), item("weight", weight, op::Role::input),
                   item("y", product, op::Role::output)}));
  return expect(op::Matmul::name, m.product, products, rows * outputs);
}

}  // namespace

Status Device::self_test() {
  if (tested_) return {};
  if (limits.subgroup_shuffle) {
    const Status answers = known_answers(*this);
    tested_ = static_cast<bool>(answers);
    if (tested_ || answers.error().code != Code::device || lost_) return answers;
    limits.subgroup_shuffle = false;
  }
  KEDGE_CHECK(known_answers(*this));
  tested_ = true;
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::vulkan
