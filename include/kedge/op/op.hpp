// What an operator policy is. A policy has no state and no behaviour of its own; it says
//   name                 its stem, also of its kernels, shader and test cases
//   Args                 plain data: tensors and settings by name
//   fields(visitor)      names every member of Args once: graphs bind by it, `kedge op` reads and
//                        prints it, the documentation's table comes from it
//   infer(Args&)         gives empty outputs and scratch their element and extents
//   check(const Args&)   every rule of shape and element; kernels rely on it and check nothing
//   cost(const Args&)    bytes moved at least and floating-point operations, for benches
// A kernel is Kernel<Backend, Op>, the one extension point.
#pragma once

#include <concepts>
#include <cstdint>

#include "kedge/core/result.hpp"
#include "kedge/core/tensor.hpp"

namespace kedge::inline KEDGE_ABI {

template <class Backend, class Op>
struct Kernel;

namespace op {

struct Cost {
  double bytes = 0;
  double flops = 0;
};

// input: read. output: written whole. inout: read and written in place. state: storage that
// outlives the call, such as a key/value cache. scratch: no meaning between calls.
enum class Role : std::uint8_t { input, output, inout, state, scratch };

// A visitor has
//   tensor(name, Tensor Args::*, Role, "shape and meaning")
//   setting(name, T Args::*, "meaning")             T: float, std::int32_t or bool
template <class Op>
concept Policy = requires(typename Op::Args& args, const typename Op::Args& constant) {
  { Op::name } -> std::convertible_to<const char*>;
  { Op::infer(args) } -> std::same_as<Status>;
  { Op::check(constant) } -> std::same_as<Status>;
  { Op::cost(constant) } -> std::same_as<Cost>;
};

// Small rules that most checks are made of. `op` and `argument` name the place in the error.
inline Status expect_shape(const char* op, const char* argument, const Tensor& t, Element element,
                           std::int64_t rows, std::int64_t width) noexcept {
  if (t.empty()) return fail(Code::invalid_argument, op, "argument %s is missing", argument);
  if (t.element != element)
    return fail(Code::invalid_argument, op, "%s: expected %s, found %s", argument,
                to_string(element), to_string(t.element));
  if (t.rows() != rows || t.width() != width)
    return fail(Code::invalid_argument, op, "%s: expected %lld x %lld, found %lld x %lld", argument,
                static_cast<long long>(rows), static_cast<long long>(width),
                static_cast<long long>(t.rows()), static_cast<long long>(t.width()));
  return {};
}

}  // namespace op
}  // namespace kedge::inline KEDGE_ABI
