// Workgroups are numbered through x and y together, because a device may allow no more than 65,535
// in one dimension; the last row of the grid may be longer than needed. Host: vulkan::Grid.
#ifndef KEDGE_COMMON_GRID
#define KEDGE_COMMON_GRID

uint linear_workgroup() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }

#endif
