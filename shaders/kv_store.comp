// op/kv_store.hpp into pages as state/kv_page.hpp has them. KEDGE_CACHE chooses the element; F16 and
// BF16 share a module. The bytes are those of the CPU.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#include "kedge/abi/kv_store.h"

#include "common/grid.glsl"
#include "common/round.glsl"

layout(std430, set = 0, binding = 0) readonly buffer K { float k[]; };
layout(std430, set = 0, binding = 1) readonly buffer V { float v[]; };
layout(std430, set = 0, binding = 2) readonly buffer Position { int position[]; };
layout(std430, set = 0, binding = 3) readonly buffer Sequence { int sequence[]; };
layout(std430, set = 0, binding = 4) readonly buffer Pages { int pages[]; };

const uint positions = 64;  // page_positions

uint head_block(uint row, uint head, uint at) {
  const uint page = uint(pages[uint(sequence[row]) * push.max_pages + at / positions]);
  return page * push.page_stride + head * push.head_stride;
}

#if KEDGE_CACHE == KEDGE_ELEMENT_Q8_0

layout(std430, set = 0, binding = 5) writeonly buffer Quanta { int8_t quanta[]; };
layout(std430, set = 0, binding = 5) writeonly buffer Scales { uint16_t scales[]; };

// kernel/ref/round_q8.hpp: the scale and the factor of a block's values.
void scale_of(uint first, bool keys, out float d, out float inverse) {
  uint largest = 0u;
  for (uint i = 0; i < 32; ++i) {
    const float x = keys ? k[first + i] : v[first + i];
    largest = max(largest, floatBitsToUint(x) & 0x7FFFFFFFu);  // ordered as the values are
  }
  const bool finite = largest < 0x7F800000u;
  const bool nothing = largest < 27u << 23;  // 2^-100
  d = !finite ? uintBitsToFloat(0x7FC00000u) : 0.0;
  inverse = 0.0;
  if (finite && !nothing) {
    d = exact_divide(uintBitsToFloat(largest), 127.0);
    inverse = exact_divide(127.0, uintBitsToFloat(largest));
  }
}

void main() {
  const uint item = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  const uint blocks = push.head_dim / 32, each = 2 * blocks;
  const uint all = item / each;  // (row, head)
  if (all >= push.heads) return;
  const bool keys = item % each < blocks;
  const uint b = item % blocks, row = all / push.kv_heads, first = all * push.head_dim + b * 32;
  const uint at = uint(position[row]), slot = at % positions;
  const uint block = head_block(row, all % push.kv_heads, at);
  const uint size = positions * push.head_dim, values = block + size + size / 16;

  float d, inverse;
  scale_of(first, keys, d, inverse);
  const uint scale_at = keys ? (block + size) / 2 + b * positions + slot
                             : (values + size) / 2 + slot * blocks + b;
  scales[scale_at] = uint16_t(float_to_half(d));
  for (uint i = 0; i < 32; ++i) {
    const float x = keys ? k[first + i] : v[first + i];
    precise float scaled = x * inverse;
    const int q = inverse == 0.0 ? 0 : int(roundEven(scaled));
    const uint dim = b * 32 + i;
    quanta[keys ? block + dim * positions + slot : values + slot * push.head_dim + dim] = int8_t(q);
  }
}

#else

#if KEDGE_CACHE == KEDGE_ELEMENT_F32
layout(std430, set = 0, binding = 5) writeonly buffer Cache { float cache[]; };
#define STORED(x) (x)
#else
layout(std430, set = 0, binding = 5) writeonly buffer Cache { uint16_t cache[]; };
#define STORED(x) uint16_t(bf16 != 0 ? float_to_bf16(x) : float_to_half(x))
#endif

void main() {
  const uint item = linear_workgroup() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  const uint value_width = (push.head_dim + 15) / 16 * 16;
  const uint all = item / value_width, dim = item % value_width;
  if (all >= push.heads) return;
  const uint row = all / push.kv_heads, from = all * push.head_dim + dim;
  const uint at = uint(position[row]), slot = at % positions;
  const uint block = head_block(row, all % push.kv_heads, at);
  const bool padding = dim >= push.head_dim;
  if (!padding) cache[block + dim * positions + slot] = STORED(k[from]);
  cache[block + push.head_dim * positions + slot * value_width + dim] =
      STORED(padding ? 0.0 : v[from]);
}

#endif
