// The weight formats: the one list that Element, its facts, the kernels' tables, GGUF's type
// numbers, the tests and `kedge op` are made from. A new format is a header here (and its line
// below), a kernel struct kernel/cpu/matmul/NAME-inl.hpp, and a golden (tests/golden/formats.py).
// Its header has
//   name, gguf_name, gguf_type   what it is called, here and in GGUF
//   values, Block                so many consecutive values of a row are stored as this, in files
//   decode(block, x)             the definition of its values, each step rounded once as written;
//                                tests/golden/formats checks every one bit for bit
//   Packed, pack, unpack         the same bytes in the order in which a product reads them
//   chunks(visitor)              the lengths of Packed's parts, in order: run<bytes>(count); each
//   part
//                                of 16 rows stands side by side in a panel (kernel/cpu/panel.hpp)
#pragma once

#include "kedge/core/format/bf16.hpp"
#include "kedge/core/format/f16.hpp"
#include "kedge/core/format/f32.hpp"
#include "kedge/core/format/q4_0.hpp"
#include "kedge/core/format/q4_1.hpp"
#include "kedge/core/format/q4_k.hpp"
#include "kedge/core/format/q5_0.hpp"
#include "kedge/core/format/q5_1.hpp"
#include "kedge/core/format/q5_k.hpp"
#include "kedge/core/format/q6_k.hpp"
#include "kedge/core/format/q8_0.hpp"

// FORMAT(name, Type): the enumerator Element::name and the struct format::Type.
#define KEDGE_WEIGHT_FORMATS(FORMAT) \
  FORMAT(f32, F32)                   \
  FORMAT(f16, F16)                   \
  FORMAT(bf16, BF16)                 \
  FORMAT(q8_0, Q8_0)                 \
  FORMAT(q4_0, Q4_0)                 \
  FORMAT(q4_1, Q4_1)                 \
  FORMAT(q6_k, Q6_K)                 \
  FORMAT(q5_0, Q5_0)                 \
  FORMAT(q5_1, Q5_1)                 \
  FORMAT(q4_k, Q4_K)                 \
  FORMAT(q5_k, Q5_K)
