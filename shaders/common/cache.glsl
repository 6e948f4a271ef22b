// What a head block of a key/value cache holds (state/kv_page.hpp), as F32. A block is named by its
// first byte / 16. Keys and values are read in octets: 8 positions of a dimension, or 8 dimensions of
// a position. Needs binding CACHE_BINDING and the constants head_dim and bf16; KEDGE_CACHE chooses
// the element.
#ifndef KEDGE_COMMON_CACHE
#define KEDGE_COMMON_CACHE

#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require

const uint page_positions = 64;
const uint value_width = (head_dim + 15) / 16 * 16;

layout(std430, set = 0, binding = CACHE_BINDING) readonly buffer Cache16 { uvec4 cache16[]; };

#if KEDGE_CACHE == KEDGE_ELEMENT_F32

layout(std430, set = 0, binding = CACHE_BINDING) readonly buffer Cache4 { float cache4[]; };

void octet_at(uint at, out float x[8]) {
  const uvec4 low = cache16[at], high = cache16[at + 1];
  for (int i = 0; i < 4; ++i) {
    x[i] = uintBitsToFloat(low[i]);
    x[i + 4] = uintBitsToFloat(high[i]);
  }
}
void key_octet(uint block, uint d, uint octet, out float k[8]) {
  octet_at(block + d * (page_positions / 4) + 2 * octet, k);
}
void value_octet(uint block, uint slot, uint octet, out float v[8]) {
  octet_at(block + (head_dim * page_positions + slot * value_width) / 4 + 2 * octet, v);
}
float key_at(uint block, uint d, uint slot) { return cache4[block * 4 + d * page_positions + slot]; }

#elif KEDGE_CACHE == KEDGE_ELEMENT_Q8_0

layout(std430, set = 0, binding = CACHE_BINDING) readonly buffer Cache8 { uvec2 cache8[]; };
layout(std430, set = 0, binding = CACHE_BINDING) readonly buffer Cache2 { uint16_t cache2[]; };
layout(std430, set = 0, binding = CACHE_BINDING) readonly buffer Cache1 { int8_t cache1[]; };

const uint blocks = head_dim / 32;
const uint quanta = page_positions * head_dim;  // bytes of the keys, and of the values
const uint half_block = quanta + quanta / 16;   // with their scales

float scale_at(uint at) { return unpackHalf2x16(uint(cache2[at])).x; }

float quantum(uvec2 bytes, int i) {
  return float(bitfieldExtract(int(bytes[i / 4]), 8 * (i % 4), 8));
}
void key_octet(uint block, uint d, uint octet, out float k[8]) {
  const uvec2 bytes = cache8[block * 2 + d * 8 + octet];
  const uvec4 scales = cache16[block + quanta / 16 + d / 32 * 8 + octet];
  for (int i = 0; i < 8; ++i) {
    const vec2 scale = unpackHalf2x16(scales[i / 2]);
    precise float x = scale[i % 2] * quantum(bytes, i);
    k[i] = x;
  }
}
void value_octet(uint block, uint slot, uint octet, out float v[8]) {
  const uvec2 bytes = cache8[block * 2 + (half_block + slot * head_dim) / 8 + octet];
  const float scale = scale_at(block * 8 + (half_block + quanta) / 2 + slot * blocks + octet / 4);
  for (int i = 0; i < 8; ++i) {
    precise float x = scale * quantum(bytes, i);
    v[i] = x;
  }
}
float key_at(uint block, uint d, uint slot) {
  const int q = int(cache1[block * 16 + d * page_positions + slot]);
  precise float x = scale_at(block * 8 + quanta / 2 + d / 32 * page_positions + slot) * float(q);
  return x;
}

#else

layout(std430, set = 0, binding = CACHE_BINDING) readonly buffer Cache2 { uint16_t cache2[]; };

vec2 pair(uint bits) {
  if (bf16 != 0) return vec2(uintBitsToFloat(bits << 16), uintBitsToFloat(bits & 0xFFFF0000u));
  return unpackHalf2x16(bits);
}
void octet_at(uint at, out float x[8]) {
  const uvec4 bits = cache16[at];
  for (int i = 0; i < 4; ++i) {
    const vec2 two = pair(bits[i]);
    x[2 * i] = two.x;
    x[2 * i + 1] = two.y;
  }
}
void key_octet(uint block, uint d, uint octet, out float k[8]) {
  octet_at(block + d * (page_positions / 8) + octet, k);
}
void value_octet(uint block, uint slot, uint octet, out float v[8]) {
  octet_at(block + (head_dim * page_positions + slot * value_width) / 8 + octet, v);
}
float key_at(uint block, uint d, uint slot) {
  return pair(uint(cache2[block * 8 + d * page_positions + slot])).x;
}

#endif

#endif
