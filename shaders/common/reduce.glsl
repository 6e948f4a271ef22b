// Sum over a workgroup, REDUCE_COUNT sums at once; every lane gets them. Lanes are added as a binary
// tree from the lowest bit of their number upwards. A butterfly over a subgroup forms the same tree,
// so both builds give the same bytes whatever the subgroup's size: KEDGE_SUBGROUP chooses speed,
// never a result. The workgroup's width must be a power of two.
#ifndef KEDGE_COMMON_REDUCE
#define KEDGE_COMMON_REDUCE

#if KEDGE_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
uint lane() { return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; }
#else
uint lane() { return gl_LocalInvocationIndex; }
#endif

shared float reduce_shared[REDUCE_COUNT * gl_WorkGroupSize.x];

void reduce_add(inout precise float value[REDUCE_COUNT]) {
#if KEDGE_SUBGROUP
  for (uint bit = 1; bit < min(gl_SubgroupSize, gl_WorkGroupSize.x); bit <<= 1)
    for (uint r = 0; r < REDUCE_COUNT; ++r) {
      precise float other = subgroupShuffleXor(value[r], bit);
      value[r] = value[r] + other;
    }
  if (gl_NumSubgroups == 1) return;
  const uint parts = gl_NumSubgroups;
  const uint part = gl_SubgroupID;
  const bool leader = gl_SubgroupInvocationID == 0;
#else
  const uint parts = gl_WorkGroupSize.x;
  const uint part = gl_LocalInvocationIndex;
  const bool leader = true;
#endif
  if (leader)
    for (uint r = 0; r < REDUCE_COUNT; ++r) reduce_shared[r * gl_WorkGroupSize.x + part] = value[r];
  for (uint bit = 1; bit < parts; bit <<= 1) {
    barrier();
    if (leader && (part & (2 * bit - 1)) == 0)
      for (uint r = 0; r < REDUCE_COUNT; ++r) {
        const uint at = r * gl_WorkGroupSize.x + part;
        precise float sum = reduce_shared[at] + reduce_shared[at + bit];
        reduce_shared[at] = sum;
      }
  }
  barrier();
  for (uint r = 0; r < REDUCE_COUNT; ++r) value[r] = reduce_shared[r * gl_WorkGroupSize.x];
}

#endif
