// A round between its parts (open, evaluate, verify, close), so that several sessions can share
// the pass in the middle. Nothing of it is in the session until the end: a round that fails has
// changed nothing.
#pragma once

#include <optional>

#include "kedge/spec/session.hpp"
#include "spec/timer.hpp"
#include "spec/walk.hpp"

namespace kedge::inline KEDGE_ABI {

struct Session::OpenRound {
  RoundOptions options;
  Round result;  // its `stop` is set when there is nothing to evaluate
  std::optional<Transaction> transaction;
  std::int64_t asked = 0, proposed = 0;  // drafts; what was kept of them is draft_
  std::int64_t cut = 0;                  // drafts that a constraint forbade
  std::int64_t most = 0;                 // drafts that may be accepted
  std::int64_t depth = 0;                // drafts that stand one behind the other
  std::int64_t first_row = 0;            // of the pass,
  std::int64_t first_output = 0;         // where all rows have one
  double draft_ms = 0, target_ms = 0, verify_ms = 0;
  bool closed = false;      // or has failed
  bool runs_again = false;  // accepted rows, because their states were not kept
  bool marked = false;      // the stop matcher, because of that
  Walk walk;
  verify::Accepted accepted;

  std::int64_t rows() const noexcept { return transaction ? transaction->rows() : 0; }
};

}  // namespace kedge::inline KEDGE_ABI
