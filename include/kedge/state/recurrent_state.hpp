// RecurrentState: the states of recurrent layers for a number of sequences, so kept that undoing a
// pass moves an index. A *plane* holds the state of one sequence at one position in every layer; it
// is written once, counted by those who have it (as pages of keys are) and never written in place.
// A sequence has
//   kept states   positions, oldest first, each with its plane; under replay also how many records
//                 behind it are accepted. The last of them is where the sequence stands.
//   a ring of raw input columns for the convolution, and under replay a ring of records
//   landmarks     planes at chosen positions, which stay when the kept states move on
// A pass writes planes, records and columns that nobody has yet. Committing takes some of them into
// the list, undoing and going back takes entries off it: no state is copied, nothing replayed.
// A fork has the same planes; its rings, which are small, are copied (copied()).
//
// Memory is taken at creation and layer-major, so that a layer's part is a plain tensor. There are
// planes for every sequence at its most and for all landmarks, so a pass never lacks one. Calls are
// not synchronized: sequences of one state belong to one thread at a time.
#pragma once

#include <cstdint>
#include <span>

#include "kedge/core/buffer.hpp"
#include "kedge/core/tensor.hpp"
#include "kedge/state/recurrent_policy.hpp"

namespace kedge::inline KEDGE_ABI {

class Hash;
namespace io {
class Sink;
class Source;
}  // namespace io

class KEDGE_API RecurrentState {
 public:
  struct Options {
    RecurrentPolicy policy = {};
    std::int64_t sequences = 1;
    std::int64_t landmarks = 0;  // of all sequences together
    Allocator allocator = default_allocator();
    // Of planes, records and columns, where a device's kernels read them; none: as `allocator`.
    Allocator storage = {};
  };

  // Bytes copied since creation, of columns and records. Planes are never copied, and committing
  // rows that follow one another, undoing and going back to a kept state copy nothing at all.
  struct Copied {
    std::uint64_t forks = 0;      // rings of forked sequences
    std::uint64_t branches = 0;   // columns and records of a tree's branch that stood apart
    std::uint64_t landmarks = 0;  // conv_width - 1 columns when one is made, and when gone to
  };

  // Code::unsupported or invalid_argument name what is impossible about the shape or the options,
  // Code::out_of_memory the bytes asked for.
  static Result<RecurrentState> create(const RecurrentShape& shape,
                                       const Options& options) noexcept;
  // The same without memory: its tensors have shapes and say nothing else, for estimates.
  static Result<RecurrentState> outline(const RecurrentShape& shape,
                                        const Options& options) noexcept;
  static std::uint64_t bytes_needed(const RecurrentShape& shape, const Options& options) noexcept;

  // Null when this was not created: what models without recurrent layers have.
  RecurrentState* or_null() noexcept { return shape_.empty() ? nullptr : this; }

  const RecurrentShape& shape() const noexcept { return shape_; }
  const RecurrentPolicy& policy() const noexcept { return policy_; }
  std::int64_t sequences() const noexcept { return sequences_; }
  std::int64_t planes() const noexcept { return planes_; }
  std::int64_t free_planes() const noexcept { return free_count_; }
  std::int64_t record_slots() const noexcept { return policy_.record_slots(); }
  std::int64_t window_slots() const noexcept { return policy_.window_slots(shape_); }
  std::size_t bytes() const noexcept {
    return state_.size() + records_.size() + window_.size() + landmark_columns_.size();
  }
  const Copied& copied() const noexcept { return copied_; }

  // What the operators take of one layer: [planes, values], [sequences * record_slots, values]
  // (empty without replay) and [sequences * window_slots, channels], all f32.
  Tensor state(std::int64_t layer) const noexcept;
  Tensor records(std::int64_t layer) const noexcept;
  Tensor window(std::int64_t layer) const noexcept;

  // A sequence of this number begins at position 0; release() gives its planes back.
  Status claim(std::int32_t sequence) noexcept;
  void release(std::int32_t sequence) noexcept;

  // Where the sequence stands: tokens whose state it has.
  std::int64_t position(std::int32_t sequence) const noexcept;
  // The nearest position at or before `position` that is kept: 0 at least.
  std::int64_t nearest(std::int32_t sequence, std::int64_t position) const noexcept;
  // Tokens that undo() can take back one by one, up to the whole text.
  std::int64_t depth(std::int32_t sequence) const noexcept;

  // A pass over `rows` rows from the position on, of whose states the last min(keep, rows, depth)
  // are kept. Room for them is made by forgetting the oldest kept states, never the one where the
  // sequence stands. Of columns, those are stored that the kept states look back at.
  // A tree keeps the states after all of its rows, which depth() of the policy has to allow.
  Status begin(std::int32_t sequence, std::int64_t rows, std::int64_t keep,
               bool tree = false) noexcept;
  // Whether n rows of the pass can be committed: 0 or more than rows - keep.
  bool can_commit(std::int32_t sequence, std::int64_t n) const noexcept;
  // An error that says how much is kept leaves the pass open.
  Status commit(std::int32_t sequence, std::int64_t n) noexcept;
  // Of a tree: these rows, each the parent of the next, the first being row 0 of the pass.
  Status commit(std::int32_t sequence, std::span<const std::int32_t> branch) noexcept;
  // The pass has never happened.
  void abandon(std::int32_t sequence) noexcept;

  // Completes the tables of op/recurrent_run.hpp for the rows of a pass, whose sequences have
  // begun theirs: each one's rows follow one another and are all of them. `parent`: of trees, the
  // row of the call before each in its branch, -1 before a sequence's first; null: no trees.
  Status fill(const std::int32_t* position, const std::int32_t* sequence,
              const std::int32_t* parent, std::int64_t rows, const Tensor& runs,
              const Tensor& steps) const noexcept;

  // Takes n tokens back; asking for more than depth() is an error that says how much is kept.
  Status undo(std::int32_t sequence, std::int64_t n) noexcept;
  // Goes to nearest(position), which it returns. Newer kept states and landmarks are forgotten.
  Result<std::int64_t> rewind(std::int32_t sequence, std::int64_t position) noexcept;

  // Keeps the state of a position, which must be in a plane now (the last rows of a pass that
  // kept them; under replay only the oldest of these). With no room left, the landmark that stands
  // closest between its neighbours is given up, so that distances grow with the text. Returns
  // whether there is one now.
  bool mark(std::int32_t sequence, std::int64_t position) noexcept;
  // Positions of the landmarks, ascending, the i-th of so many.
  std::int64_t landmarks(std::int32_t sequence) const noexcept;
  std::int64_t landmark(std::int32_t sequence, std::int64_t i) const noexcept;

  // `to` becomes what `from` is, with its kept states and landmarks.
  Status fork(std::int32_t from, std::int32_t to) noexcept;

  // The state where the sequence stands as one plane, whatever the policy, after the columns before
  // it. Position 0 has no bytes.
  Status save(std::int32_t sequence, io::Sink& sink, Hash& digest) const noexcept;
  // Reads what save() wrote at a position; adopt() makes it the only state of a sequence.
  std::uint64_t saved_bytes(std::int64_t position) const noexcept;
  Result<Buffer> read(const io::Source& source, std::uint64_t offset, std::int64_t position,
                      Hash& digest) const noexcept;
  void adopt(std::int32_t sequence, std::int64_t position, const Buffer& saved) noexcept;

  // For tests that poison what is undone, or compare around a commit.
  std::span<std::byte> memory() const noexcept { return {state_.data(), state_.size()}; }
  bool plane_in_use(std::int32_t plane) const noexcept {
    return shares_.as<std::int32_t>()[plane] > 0;
  }
  // Whether the ring slot holds a column (record) that the sequence may still look back at.
  bool column_in_use(std::int32_t sequence, std::int64_t slot) const noexcept;
  bool record_in_use(std::int32_t sequence, std::int64_t slot) const noexcept;

 private:
  // A kept state. Columns and records are counted through as they are stored; what is number n is
  // in slot n % slots. Entries know the number that comes next at their position.
  struct Kept {
    std::int64_t position, column, record;
    std::int32_t plane;  // -1: zeros, position 0
    std::int32_t reach;  // accepted records behind it
  };
  struct Text {
    std::int64_t column_floor, record_floor;  // what lies below was overwritten
    std::int64_t rows, keep, stored;          // of the open pass
    std::int32_t kept, landmarks, taken;      // entries, and planes of the pass
    bool claimed, open, tree;
  };
  struct Landmark {
    std::int64_t position;
    std::int32_t plane, shares;  // 0: free
  };

  Text& text(std::int32_t s) const noexcept { return texts_.as<Text>()[s]; }
  Kept* kept(std::int32_t s) const noexcept { return kept_.as<Kept>() + s * policy_.planes(); }
  Kept& current(std::int32_t s) const noexcept { return kept(s)[text(s).kept - 1]; }
  std::int32_t* pass_planes(std::int32_t s) const noexcept {
    return pass_planes_.as<std::int32_t>() + s * policy_.depth;
  }
  std::int32_t* landmark_list(std::int32_t s) const noexcept {
    return landmark_lists_.as<std::int32_t>() + s * landmark_room_;
  }
  Landmark& mark_of(std::int32_t number) const noexcept {
    return landmarks_.as<Landmark>()[number];
  }
  void gather(std::int32_t sequence, std::span<const std::int32_t> branch) noexcept;
  Status expect_idle(std::int32_t sequence) const noexcept;
  std::int64_t tail(std::int64_t position) const noexcept;
  bool has(const Text& text, const Kept& entry, std::int64_t position) const noexcept;
  const Kept* reaching(std::int32_t sequence, std::int64_t position) const noexcept;
  std::int32_t find_landmark(std::int32_t sequence, std::int64_t position) const noexcept;
  void start(std::int32_t sequence) noexcept;
  void forget_oldest(std::int32_t sequence) noexcept;
  void cut(std::int32_t sequence, std::int64_t position) noexcept;
  void stand_at_landmark(std::int32_t sequence, const Landmark& landmark) noexcept;
  void drop_landmark(std::int32_t sequence, std::int32_t index) noexcept;
  bool thin(std::int32_t sequence, std::int64_t newest) noexcept;
  std::int32_t take() noexcept;
  void give_back(std::int32_t plane) noexcept;

  Tensor part(const Buffer& memory, std::int64_t layer, std::int64_t rows,
              std::int64_t width) const noexcept;
  std::int32_t column_slot(std::int32_t sequence, std::int64_t number) const noexcept;
  std::int32_t record_slot(std::int32_t sequence, std::int64_t number) const noexcept;
  Tensor landmark_columns(std::int32_t which, std::int64_t layer) const noexcept;

  RecurrentShape shape_;
  RecurrentPolicy policy_;
  Allocator allocator_ = default_allocator();
  bool outline_ = false;  // no memory
  bool device_ = false;   // kernels of a device read it
  std::int64_t sequences_ = 0, planes_ = 0, landmark_room_ = 0;
  Buffer state_, records_, window_;
  Buffer landmark_columns_;  // f32 [landmarks, layers, conv_width - 1, channels]
  Buffer texts_, kept_, pass_planes_, landmarks_, landmark_lists_;
  Buffer free_;    // i32 [planes]: a stack of numbers
  Buffer shares_;  // i32 [planes]: entries and landmarks that have the plane
  std::int64_t free_count_ = 0;
  Copied copied_;
};

}  // namespace kedge::inline KEDGE_ABI
