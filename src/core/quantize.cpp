#include "kedge/core/quantize.hpp"

#include <atomic>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "core/quantize_block.hpp"
#include "kedge/core/os/fp_env.hpp"

namespace kedge::inline KEDGE_ABI {

namespace quantizer {

bool block_q8_0(const float* x, BlockQ8_0& block) noexcept {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
  const float d = largest / 127, inverse = 1 / d;
  const bool nothing = !std::isfinite(inverse);  // below 2^-128: F16 has no such scale anyway
  block.d = f32_to_f16(d);
  for (int i = 0; i < 32; ++i)
    block.q[i] = nothing ? std::int8_t{0} : static_cast<std::int8_t>(std::roundf(x[i] * inverse));
  return finite_f16(block.d);
}

bool block_q4_0(const float* x, BlockQ4_0& block) noexcept {
  float extreme = 0;
  for (int i = 0; i < 32; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  const float d = extreme / -8, inverse = 1 / d;
  const bool nothing = !std::isfinite(inverse);
  block.d = f32_to_f16(d);
  const auto quantum = [=](float value) {
    const float t = nothing ? 8.5f : value * inverse + 8.5f;
    return t > 0 ? (t < 15 ? static_cast<int>(t) : 15) : 0;
  };
  for (int i = 0; i < 16; ++i)
    block.q[i] = static_cast<std::uint8_t>(quantum(x[i]) | quantum(x[i + 16]) << 4);
  return finite_f16(block.d);
}

}  // namespace quantizer

namespace {

constexpr const char* place = "quantize";

// Writes values [0, Format::values). False when the format cannot hold them.
template <class Format>
bool quantize_block(const float* x, typename Format::Block& block) noexcept {
  if constexpr (std::is_same_v<Format, format::F32>) block = *x;
  else if constexpr (std::is_same_v<Format, format::BF16>) block = f32_to_bf16(*x);
  else if constexpr (std::is_same_v<Format, format::F16>) block = f32_to_f16(*x);
  else if constexpr (std::is_same_v<Format, format::Q8_0>) return quantizer::block_q8_0(x, block);
  else if constexpr (std::is_same_v<Format, format::Q4_0>) return quantizer::block_q4_0(x, block);
  else return quantizer::block_q4_k(x, block);
  if constexpr (std::is_same_v<Format, format::BF16>) return (block & 0x7F80u) != 0x7F80u;
  if constexpr (std::is_same_v<Format, format::F16>) return quantizer::finite_f16(block);
  return true;
}

template <class Format>
constexpr bool has_quantizer =
    Format::values == 1 || std::is_same_v<Format, format::Q8_0> ||
    std::is_same_v<Format, format::Q4_0> || std::is_same_v<Format, format::Q4_K>;

struct Fault {
  std::int64_t index = -1;  // -1: none
  bool finite = false;      // else the values from `index` on are too large
};

Fault quantize_values(Element target, const float* x, std::int64_t width, std::byte* out) noexcept {
  Fault fault;
  visit_format(target, [&]<class Format>() {
    if constexpr (has_quantizer<Format>) {
      typename Format::Block block;
      for (std::int64_t i = 0; i < width; i += Format::values, out += sizeof block) {
        for (std::int64_t j = i; j < i + Format::values; ++j)
          if (!std::isfinite(x[j])) {
            fault = {j, false};
            return;
          }
        if (!quantize_block<Format>(x + i, block)) {
          fault = {i, true};
          return;
        }
        std::memcpy(out, &block, sizeof block);
      }
    }
  });
  return fault;
}

Status check_target(Element target, std::int64_t width) noexcept {
  if (!can_quantize(target))
    return fail(Code::unsupported, place, "there is no quantizer for %s", to_string(target));
  if (width % traits(target).block != 0)
    return fail(Code::invalid_argument, place, "%s needs a width divisible by %u, found %lld",
                to_string(target), traits(target).block, static_cast<long long>(width));
  return {};
}

Unexpected refuse(Element target, const Fault& fault, std::int64_t row, float value) noexcept {
  if (fault.finite)
    return fail(Code::numeric, place, "row %lld: the values from %lld on (%g) are too large for %s",
                static_cast<long long>(row), static_cast<long long>(fault.index), double(value),
                to_string(target));
  return fail(Code::numeric, place, "row %lld: value %lld is %s", static_cast<long long>(row),
              static_cast<long long>(fault.index), std::isnan(value) ? "NaN" : "infinite");
}

// A multiple of every format's block, so that a row can be converted in pieces on the stack.
constexpr std::int64_t piece = 1024;

struct Work {
  const Tensor& source;
  const Tensor& target;
  std::size_t tasks;
  std::atomic<std::int64_t> first_fault;  // row; the number of rows when there is none

  Fault convert(std::int64_t row, float* value) const noexcept {
    const std::int64_t width = source.width();
    alignas(64) float x[piece];
    for (std::int64_t i = 0; i < width; i += piece) {
      const std::int64_t count = width - i < piece ? width - i : piece;
      decode_row(source.element, source.row<std::byte>(row) + row_bytes(source.element, i), count,
                 x);
      Fault fault = quantize_values(target.element, x, count,
                                    target.row<std::byte>(row) + row_bytes(target.element, i));
      if (fault.index < 0) continue;
      *value = x[fault.index];
      fault.index += i;
      return fault;
    }
    return {};
  }
};

void convert_rows(void* context, std::size_t task) noexcept {
  auto& work = *static_cast<Work*>(context);
  const os::ScopedFpEnv fp;
  const auto rows = static_cast<std::size_t>(work.source.rows());
  const auto begin = static_cast<std::int64_t>(rows * task / work.tasks);
  const auto end = static_cast<std::int64_t>(rows * (task + 1) / work.tasks);
  float value = 0;
  for (std::int64_t row = begin; row < end; ++row) {
    if (work.convert(row, &value).index < 0) continue;
    std::int64_t first = work.first_fault.load();
    while (row < first && !work.first_fault.compare_exchange_weak(first, row)) {
    }
    return;
  }
}

}  // namespace

bool can_quantize(Element target) noexcept {
  bool can = false;
  visit_format(target, [&]<class Format>() { can = has_quantizer<Format>; });
  return can;
}

Status quantize_row(Element target, const float* x, std::int64_t width, std::byte* out) noexcept {
  KEDGE_CHECK(check_target(target, width));
  const os::ScopedFpEnv fp;
  const Fault fault = quantize_values(target, x, width, out);
  if (fault.index >= 0) return refuse(target, fault, 0, x[fault.index]);
  return {};
}

Status quantize(const Tensor& source, const Tensor& target, Executor* executor) noexcept {
  if (source.empty() || !traits(source.element).weight || source.layout != Layout::row_major)
    return fail(Code::unsupported, place, "source: expected rows of a weight format, found %s%s",
                source.empty() ? "nothing" : to_string(source.element),
                source.layout == Layout::row_major ? "" : " in panels");
  if (source.width() % traits(source.element).block != 0)
    return fail(Code::invalid_argument, place,
                "source: %s needs a width divisible by %u, found %lld", to_string(source.element),
                traits(source.element).block, static_cast<long long>(source.width()));
  KEDGE_CHECK(check_target(target.element, source.width()));
  if (target.rows() != source.rows() || target.width() != source.width() ||
      target.layout != Layout::row_major)
    return fail(Code::invalid_argument, place, "target: expected %lld x %lld, found %lld x %lld",
                static_cast<long long>(source.rows()), static_cast<long long>(source.width()),
                static_cast<long long>(target.rows()), static_cast<long long>(target.width()));
  SerialExecutor serial;
  Executor& workers = executor == nullptr ? serial : *executor;
  const std::size_t limit = std::size_t{8} * workers.workers();
  const auto rows = static_cast<std::size_t>(source.rows());
  Work work{source, target, rows < limit ? rows : limit, {source.rows()}};
  KEDGE_CHECK(workers.tasks(work.tasks, convert_rows, &work));
  const std::int64_t row = work.first_fault.load();
  if (row == source.rows()) return {};
  const os::ScopedFpEnv fp;
  float value = 0;
  const Fault fault = work.convert(row, &value);
  return refuse(target.element, fault, row, value);
}

Result<QuantizedMatrix> quantize(const Tensor& source, Element target, Executor* executor,
                                 const Allocator& allocator) noexcept {
  KEDGE_CHECK(check_target(target, source.width()));
  QuantizedMatrix result;
  result.tensor = source;
  result.tensor.element = target;
  KEDGE_TRY(result.memory, Buffer::create(result.tensor.bytes(), place, allocator));
  result.tensor.data = result.memory.data();
  KEDGE_CHECK(quantize(source, result.tensor, executor));
  return result;
}

}  // namespace kedge::inline KEDGE_ABI
