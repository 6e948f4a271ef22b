// The order of floats as integers, so that no device's treatment of NaN, subnormals or ties decides:
// a larger float has a larger key, +0 and -0 have the same, a NaN is above all of them.
#ifndef KEDGE_COMMON_ORDER
#define KEDGE_COMMON_ORDER

const uint order_nan = 0xFFFFFFFFu;

uint order_key(uint bits) {
  const uint magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return order_nan;
  if (magnitude == 0) return 0x80000000u;
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Entries (key, index): whether `a` comes before `b`, largest key first, then lowest index.
bool order_before(uvec2 a, uvec2 b) { return a.x > b.x || (a.x == b.x && a.y < b.y); }

#endif
