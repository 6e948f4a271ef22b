// The twelve bytes of 6-bit scales and minima that q4_k and q5_k share (core/format/k_scales.hpp),
// as three words. Sub-block j of eight: its scale in x, its minimum in y.
uvec2 k_scale(uvec3 s, uint j) {
  const uint shift = 8 * (j % 4);
  const uint upper = s.z >> shift;
  return j < 4 ? uvec2(s.x >> shift & 63u, s.y >> shift & 63u)
               : uvec2(upper & 15u | (s.x >> (shift + 6) & 3u) << 4,
                       upper >> 4 & 15u | (s.y >> (shift + 6) & 3u) << 4);
}
