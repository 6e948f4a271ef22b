// The tables of op/recurrent_run.hpp. Needs buffers `runs` (int) and `steps` (ivec4).
#ifndef KEDGE_COMMON_RECURRENT
#define KEDGE_COMMON_RECURRENT

struct Run {
  int first, rows, plane, replay, record, base_plane, base_after, column, columns;
};
int run_count() { return runs[0]; }
Run run_at(int index) {
  const int at = 12 * (1 + index);
  return Run(runs[at], runs[at + 1], runs[at + 2], runs[at + 3], runs[at + 4], runs[at + 5],
             runs[at + 6], runs[at + 7], runs[at + 8]);
}

// What a row leaves: steps[row].
#define STEP_PARENT x
#define STEP_PLANE y
#define STEP_RECORD z
#define STEP_COLUMN w

// The slot `by` >= -slots places after `slot` in its sequence's block.
int ring_slot(int slot, int by, int slots) {
  const int block = slot / slots * slots;
  return block + (slot - block + by + slots) % slots;
}

#endif
