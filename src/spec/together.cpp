// Rounds of several sessions in one pass over the weights.
#include <algorithm>
#include <new>

#include "spec/open_round.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr const char* place = "round_together";

long long number(std::size_t n) noexcept { return static_cast<long long>(n); }

}  // namespace

Status Session::expect_together(std::span<Turn> turns) noexcept {
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const Session* session = turns[i].session;
    if (session == nullptr || session->engine_ == nullptr)
      return fail(Code::invalid_argument, place, "turn %lld: there is no session", number(i));
    if (session->engine_ != turns[0].session->engine_)
      return fail(Code::invalid_argument, place,
                  "turn %lld: expected forks of one session, which share its cache", number(i));
    for (std::size_t other = 0; other < i; ++other)
      if (turns[other].session == session)
        return fail(Code::invalid_argument, place, "turns %lld and %lld are of one session",
                    number(other), number(i));
  }
  const auto most = static_cast<std::size_t>(turns[0].session->options_.together);
  if (turns.size() > most)
    return fail(Code::invalid_argument, place,
                "%lld turns: the sessions were made for %lld (Options::together)",
                number(turns.size()), number(most));
  return {};
}

Status Session::round_together(std::span<Turn> turns) noexcept {
  if (turns.empty()) return {};
  KEDGE_CHECK(expect_together(turns));
  Session& lead = *turns[0].session;
  Engine& engine = *lead.engine_;
  OpenRound* rounds = engine.rounds.as<OpenRound>();
  for (std::size_t i = 0; i < turns.size(); ++i) new (rounds + i) OpenRound;
  // Whatever is not closed in the end has never happened.
  struct Cleanup {
    OpenRound* rounds;
    std::size_t count;
    ~Cleanup() {
      for (std::size_t i = 0; i < count; ++i) rounds[i].~OpenRound();
    }
  } const cleanup{rounds, turns.size()};

  // 1. Drafts, and all rows one after the other: those of the first session already are.
  std::int64_t rows = 0, top = 0;
  const std::atomic<bool>* cancel = nullptr;
  const auto give_up = [&](std::size_t i, const Status& status) {
    turns[i].status = status;
    rounds[i].transaction.reset();
  };
  for (std::size_t i = 0; i < turns.size(); ++i) {
    Session& session = *turns[i].session;
    turns[i].round = {};
    turns[i].status = session.open_round(turns[i].options, rounds[i]);
    if (!turns[i].status) continue;
    turns[i].round = rounds[i].result;
  }
  for (std::size_t i = 0; i < turns.size(); ++i) {
    OpenRound& open = rounds[i];
    if (open.rows() == 0) continue;
    Session& session = *turns[i].session;
    open.first_row = open.first_output = rows;
    for (std::int64_t r = 0; r < open.rows(); ++r) {
      Row row = session.rows_[static_cast<std::size_t>(r)];
      if (row.parent != Row::before) row.parent += static_cast<std::int32_t>(rows);
      engine.rows.as<Row>()[rows + r] = row;
    }
    rows += open.rows();
    top = std::max<std::int64_t>(top, session.sampler_.needs_top());
    if (cancel == nullptr) cancel = open.options.cancel;
  }
  if (rows == 0) return {};

  // 2. One pass. What is wrong with it is wrong for all.
  spec::Timer timer;
  const Status evaluated = engine.forward.evaluate(
      {engine.rows.as<const Row>(), static_cast<std::size_t>(rows)}, {top, cancel});
  const double target_ms = timer.lap_ms();
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (rounds[i].rows() == 0) continue;
    rounds[i].target_ms = target_ms;
    if (!evaluated) give_up(i, evaluated);
    else if (const Status held = turns[i].session->verify_round(rounds[i]); !held) give_up(i, held);
  }

  // 3. Commit, and last those whose accepted rows have to run again: that is a pass, behind which
  // nothing of this one is left to read.
  for (const bool again : {false, true})
    for (std::size_t i = 0; i < turns.size(); ++i) {
      OpenRound& open = rounds[i];
      if (!open.transaction || open.closed) continue;
      Session& session = *turns[i].session;
      const bool fits =
          !session.draft_.chain() || open.transaction->can_commit(open.accepted.tokens);
      if (fits == again) continue;
      open.closed = true;
      const Result<Round> round = session.close_round(open);
      if (round) turns[i].round = *round;
      else turns[i].status = unexpected(round.error());
    }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
