#include "kedge/draft/model.hpp"

#include <algorithm>
#include <new>

#include "draft/model_impl.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

constexpr const char* place = "draft model";

long long number(std::int64_t n) noexcept { return static_cast<long long>(n); }

}  // namespace

DraftModel::DraftModel(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
DraftModel::DraftModel(DraftModel&&) noexcept = default;
DraftModel& DraftModel::operator=(DraftModel&&) noexcept = default;
DraftModel::~DraftModel() = default;

const DraftModel::Work& DraftModel::work() const noexcept { return impl_->work; }
const Model& DraftModel::model() const noexcept { return impl_->forward.model(); }

Result<DraftModel> DraftModel::create(std::shared_ptr<const Model> model,
                                      const Options& given) noexcept try {
  const ModelConfig& config = model->config();
  if (given.length < 1 || given.length > 256 || given.capacity < 1 || given.prefill_rows < 1 ||
      given.prefill_rows > 4096 || given.branches < 1 || given.branches > 64)
    return fail(Code::invalid_argument, place,
                "expected a length of 1..256, a capacity of 1 or more, prefill_rows of 1..4096 and "
                "branches of 1..64, found %lld, %lld, %lld and %lld",
                number(given.length), number(given.capacity), number(given.prefill_rows),
                number(given.branches));
  KEDGE_TRY(const Cpu cpu, Cpu::create({given.isa, given.executor}));
  std::unique_ptr<Impl> impl(new (std::nothrow) Impl);
  if (impl == nullptr) return fail(Code::out_of_memory, place, "no memory");
  Impl& self = *impl;
  self.options = given;
  self.options.isa = cpu.isa();

  SessionShape shape;
  const bool trees = given.branches > 1;
  // A tree is looked at with twice the guesses that it will have.
  shape.context = std::min(given.capacity + (trees ? 2 : 1) * given.length, config.context);
  shape.cache = given.cache;
  shape.max_rows = trees ? std::max(given.prefill_rows, 2 * given.length + 1) : given.prefill_rows;
  shape.max_outputs = trees ? std::min(given.length, widest_level) : 1;
  shape.max_top = 0;
  // Every guess is a pass that leaves one state; the one before the first must stay.
  shape.recurrent.choice = RecurrentOptions::Choice::snapshots;
  shape.recurrent.depth = given.length + 1;
  shape.recurrent.landmarks = given.landmarks;
  KEDGE_CHECK(model->check_budget(shape, given.memory_budget));

  KvCache::Options kv;
  kv.element = given.cache;
  kv.positions = shape.context;
  kv.allocator = given.allocator;
  kv.storage = model->state_storage();
  KEDGE_TRY(self.cache,
            KvCache::create(config.attention_layers(), config.kv_heads, config.head_dim, kv));
  if (!config.recurrent.empty()) {
    RecurrentState::Options state;
    KEDGE_TRY(state.policy, recurrent_policy(config.recurrent, given.length, shape.recurrent));
    state.landmarks = given.landmarks;
    state.allocator = given.allocator;
    state.storage = kv.storage;
    KEDGE_TRY(self.recurrent, RecurrentState::create(config.recurrent, state));
  }
  const std::int64_t vocabulary = config.vocabulary;
  const std::int64_t target = given.target_vocabulary > 0 ? given.target_vocabulary : vocabulary;
  for (const std::int32_t id : given.to_draft)
    if (id < -1 || id >= vocabulary)
      return fail(Code::invalid_argument, place, "to_draft: expected -1..%lld, found %d",
                  number(vocabulary - 1), id);
  if (given.to_target.empty() != given.to_draft.empty() || given.filler < 0 ||
      given.filler >= vocabulary)
    return fail(Code::invalid_argument, place,
                "expected both maps or none, and a filler of 0..%lld, found maps of %zu and %zu "
                "tokens and %d",
                number(vocabulary - 1), given.to_target.size(), given.to_draft.size(),
                given.filler);
  KEDGE_TRY(self.drawing, Drawing::create({cpu.isa(), vocabulary, target, given.to_target, trees,
                                           given.allocator}));

  Forward::Options forward;
  forward.max_rows = shape.max_rows;
  forward.max_outputs = shape.max_outputs;
  forward.allocator = given.allocator;
  KEDGE_TRY(self.forward,
            Forward::create(std::move(model), cpu, self.cache, forward, self.recurrent.or_null()));
  KEDGE_TRY(self.sequence, Sequence::create(self.cache, self.recurrent.or_null()));

  const auto tokens = static_cast<std::size_t>(given.capacity + given.length);
  const auto rows = static_cast<std::size_t>(shape.max_rows);
  KEDGE_TRY(self.memory, Buffer::create(rows * sizeof(Row) + tokens * sizeof(std::int32_t) +
                                            given.to_draft.size() * sizeof(std::int32_t),
                                        place, given.allocator));
  std::byte* memory = self.memory.data();
  const auto take = [&memory]<class T>(std::span<T>& span, std::size_t count) {
    span = {new (memory) T[count], count};
    memory += count * sizeof(T);
  };
  take(self.rows, rows);
  take(self.tokens, tokens);
  take(self.to_draft, given.to_draft.size());
  std::transform(given.to_draft.begin(), given.to_draft.end(), self.to_draft.begin(),
                 [&](std::int32_t id) { return id < 0 ? given.filler : id; });
  self.options.to_draft = self.options.to_target = {};
  if (trees) KEDGE_CHECK(self.make_tree_room());
  return DraftModel(std::move(impl));
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, place, "no memory");
}

Status DraftModel::begin(std::span<const std::int32_t> tokens) noexcept {
  KEDGE_CHECK(impl_->keep(0));
  impl_->size = 0;
  return impl_->take_in(tokens);
}

Status DraftModel::append(std::span<const std::int32_t> tokens) noexcept {
  return impl_->take_in(tokens);
}

Status DraftModel::truncate(std::int64_t count) noexcept {
  count = std::clamp<std::int64_t>(count, 0, impl_->size);
  KEDGE_CHECK(impl_->keep(count));
  impl_->size = count;
  return {};
}

// Guesses that are the text now stay evaluated; where the text says something else they end.
Status DraftModel::Impl::take_in(std::span<const std::int32_t> fresh) noexcept {
  const auto count = static_cast<std::int64_t>(fresh.size());
  if (count > options.capacity - size)
    return fail(Code::out_of_memory, place, "history holds %lld tokens, asked for %lld",
                number(options.capacity), number(size + count));
  std::int64_t same = 0;
  const std::int64_t evaluated = sequence.length() - size;
  while (same < std::min(count, evaluated) &&
         tokens[static_cast<std::size_t>(size + same)] == fresh[static_cast<std::size_t>(same)])
    ++same;
  if (same < count) KEDGE_CHECK(keep(size + same));
  std::copy(fresh.begin(), fresh.end(), tokens.begin() + static_cast<std::ptrdiff_t>(size));
  size += count;
  return {};
}

// Of what is evaluated at most the first `length` positions; less where no state is kept there.
Status DraftModel::Impl::keep(std::int64_t length) noexcept {
  if (sequence.length() <= length) return {};
  KEDGE_TRY([[maybe_unused]] const std::int64_t kept, sequence.rewind(length));
  return {};
}

// `count` rows from position `first` on, of which the first `kept` stay.
Status DraftModel::Impl::evaluate(std::int64_t first, std::int64_t count, Need last,
                                  std::int64_t kept) noexcept {
  KEDGE_TRY(Transaction transaction, sequence.begin(count, count - kept + 1));
  for (std::int64_t i = 0; i < count; ++i)
    rows[static_cast<std::size_t>(i)] = row(first + i, i + 1 == count ? last : Need::none);
  KEDGE_CHECK(forward.run(rows.first(static_cast<std::size_t>(count))));
  return transaction.commit(kept);
}

// Evaluates the text up to its newest token, behind which the logits are. Of a text whose newest
// token is not kept the next pass may begin with it, as the root of a tree.
Status DraftModel::Impl::catch_up(bool keep_newest) noexcept {
  KEDGE_CHECK(keep(size - 1));
  for (bool end = false; !end;) {
    const std::int64_t first = sequence.length();
    const std::int64_t count = std::min(options.prefill_rows, size - first);
    end = first + count == size;
    const std::int64_t kept = end && !keep_newest ? count - 1 : count;
    KEDGE_CHECK(evaluate(first, count, end ? Need::logits : Need::none, kept));
    work.text_rows += count;
    ++work.text_passes;
    // Of recurrent layers a long text keeps a few states to go back to.
    if (kept > options.length + 1) sequence.mark(sequence.length());
  }
  return {};
}

Status DraftModel::propose(const Ask& ask, Draft& draft) noexcept {
  Impl& self = *impl_;
  // The last guess is not evaluated: so many positions are needed.
  const std::int64_t room = self.cache.positions() - self.size + 1;
  const std::int64_t count =
      std::min({ask.count, self.options.length, draft.capacity() - draft.size(), room});
  KEDGE_CHECK(self.drawing.prepare(*ask.sampling));
  if (count < 1 || self.size == 0) return {};
  // A state of recurrent layers has to be kept after each row of a tree.
  const bool tree = ask.tree && ask.share_noise && self.options.branches > 1 && count > 1 &&
                    draft.size() == 0 && self.sequence.tree_rows() > count;
  return tree ? self.propose_tree(ask, count, draft) : self.propose_chain(ask, count, draft);
}

Status DraftModel::Impl::propose_chain(const Ask& ask, std::int64_t count, Draft& draft) noexcept {
  KEDGE_CHECK(catch_up(true));
  for (std::int64_t i = 0; i < count; ++i) {
    KEDGE_TRY(const std::int32_t token,
              drawing.guess({forward.logits(0)}, ask, text(), count - i, draft));
    if (token < 0) break;
    if (i + 1 == count) break;
    tokens[static_cast<std::size_t>(size + i)] = token;
    if (const Status done = evaluate(size + i, 1, Need::logits, 1); !done) {
      // A NaN behind a guess ends the draft; it may well be that the guess is wrong.
      if (done.error().code == Code::numeric) break;
      return done;
    }
    ++work.guess_rows;
  }
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::draft
