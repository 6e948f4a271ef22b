// Logits must be equal byte for byte whatever the rows of a call, where the prompt is split, the
// executor, its threads and the instruction set.
#include <algorithm>
#include <cstring>
#include <functional>
#include <random>

#include "check/check.hpp"
#include "common/failure.hpp"
#include "kedge/model/forward.hpp"
#include "kedge/state/sequence.hpp"
#include "support/executors.hpp"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace kedge::tools {

namespace {

// One way to evaluate a token list: what computes, and the rows of each call in turn.
struct Way {
  std::string name;
  cpu::Isa isa;
  Executor* executor;
  std::vector<std::int64_t> rows;  // the last one repeats
  std::int64_t tokens = 0;         // 0: all
  bool modes = false;              // the caller flushes denormals and rounds upwards
  bool neighbour = false;          // rows of another text are in every call
};

// Other floating-point modes than Kedge's, as a host program may have set them.
class CallerModes {
 public:
#if defined(__SSE__)
  explicit CallerModes(bool on) : saved_(_mm_getcsr()) {
    if (on) _mm_setcsr((saved_ & ~0x6000u) | 0x8040u | 0x4000u);  // FTZ, DAZ, towards +infinity
  }
  ~CallerModes() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#else
  explicit CallerModes(bool) {}
#endif
};

class Sweep {
 public:
  Sweep(const ModelFile& file, const Prompt& prompt, std::span<const std::int32_t> tokens,
        Element cache)
      : model_(file.model), prompt_(prompt), tokens_(tokens), cache_(cache) {}

  // Calls take(position, logits) for every position.
  void evaluate(const Way& way,
                const std::function<void(std::size_t, std::span<const float>)>& take) {
    const ModelConfig& config = model_->config();
    const auto count = way.tokens > 0
                           ? std::min(tokens_.size(), static_cast<std::size_t>(way.tokens))
                           : tokens_.size();
    KvCache::Options kv;
    kv.element = cache_;
    kv.positions = static_cast<std::int64_t>(count);
    kv.sequences = way.neighbour ? 2 : 1;
    kv.storage = model_->state_storage();
    KvCache cache =
        must(KvCache::create(config.attention_layers(), config.kv_heads, config.head_dim, kv));
    Forward::Options options;
    options.max_outputs =
        std::min(kv.positions, *std::max_element(way.rows.begin(), way.rows.end()));
    options.max_rows = options.max_outputs * (way.neighbour ? 2 : 1);
    const Cpu cpu = must(Cpu::create({way.isa, way.executor}));
    RecurrentState recurrent;
    if (!config.recurrent.empty())
      recurrent = must(RecurrentState::create(config.recurrent,
                                              {.sequences = kv.sequences, .storage = kv.storage}));
    Forward forward = must(Forward::create(model_, cpu, cache, options, recurrent.or_null()));
    Sequence sequence = must(Sequence::create(cache, recurrent.or_null())), other;
    if (way.neighbour) other = must(Sequence::create(cache, recurrent.or_null()));
    std::size_t call = 0;
    std::vector<Row> rows;
    for (std::size_t first = 0; first < count;) {
      const auto width = static_cast<std::size_t>(way.rows[std::min(call++, way.rows.size() - 1)]);
      const std::size_t end = std::min(count, first + width);
      const auto step = static_cast<std::int64_t>(end - first);
      rows.clear();
      if (way.neighbour)  // the text backwards
        for (std::size_t i = first; i < end; ++i)
          rows.push_back({tokens_[count - 1 - i], static_cast<std::int32_t>(i), other.index()});
      for (std::size_t i = first; i < end; ++i)
        rows.push_back({tokens_[i], static_cast<std::int32_t>(i), sequence.index(), Need::logits});
      Transaction transaction = must(sequence.begin(step));
      std::optional<Transaction> beside;
      if (way.neighbour) beside.emplace(must(other.begin(step)));
      {
        const CallerModes modes(way.modes);
        must(forward.run(rows));
      }
      must(transaction.commit(step));
      if (beside) must(beside->commit(step));
      for (std::size_t i = 0; i < end - first; ++i)
        take(first + i, forward.logits(static_cast<std::int64_t>(i)));
      first = end;
    }
  }

  void set_expected(const Way& way) {
    expected_.clear();
    evaluate(way, [&](std::size_t, std::span<const float> logits) {
      expected_.insert(expected_.end(), logits.begin(), logits.end());
    });
  }

  // `flip`: the position whose first byte of one logit gets a wrong bit, as a broken kernel would.
  void compare(const Way& way, std::optional<std::int64_t> flip, LogitsReport& report) {
    ++report.runs;
    evaluate(way, [&](std::size_t position, std::span<const float> logits) {
      if (flip && static_cast<std::size_t>(*flip) == position)
        reinterpret_cast<std::byte*>(const_cast<float*>(logits.data()))[logits.size() / 2 * 4] ^=
            std::byte{1};
      const float* expected = expected_.data() + position * logits.size();
      report.bytes += logits.size_bytes();
      if (std::memcmp(expected, logits.data(), logits.size_bytes()) == 0) return;
      const auto* a = reinterpret_cast<const unsigned char*>(expected);
      const auto* b = reinterpret_cast<const unsigned char*>(logits.data());
      for (std::size_t i = 0; i < logits.size_bytes(); ++i) {
        if (a[i] == b[i]) continue;
        if (++report.differing == 1)
          report.first_difference = fmt::format(
              "prompt \"{}\", {}: position {}, logit {}, byte {}: expected 0x{:02x}, found "
              "0x{:02x}",
              prompt_.name, way.name, position, i / 4, i % 4, a[i], b[i]);
      }
    });
  }

 private:
  std::shared_ptr<const Model> model_;
  const Prompt& prompt_;
  std::span<const std::int32_t> tokens_;
  Element cache_;
  std::vector<float> expected_;
};

std::vector<std::int64_t> random_split(std::int64_t count, std::mt19937_64& rng) {
  std::vector<std::int64_t> parts;
  for (std::int64_t done = 0; done < count; done += parts.back())
    parts.push_back(
        1 + static_cast<std::int64_t>(
                rng() % static_cast<std::uint64_t>(std::min<std::int64_t>(40, count - done))));
  return parts;
}

std::string text_of(const std::vector<std::int64_t>& parts) {
  std::string text = "split";
  for (const std::int64_t part : parts) text += fmt::format(" {}", part);
  return text;
}

}  // namespace

std::vector<LogitsReport> check_logits(const ModelFile& file, const std::vector<Prompt>& prompts,
                                       const CheckOptions& options) {
  const std::unique_ptr<Executor> main_executor = options.machine.executor();
  LogitsReport widths{"widths 1..16"}, splits{"splits of the prompt"}, threads{"executors"},
      isas{"instruction sets"},
      surroundings{"the caller's floating-point modes and another sequence"};
  std::mt19937_64 rng(1);
  std::optional<std::int64_t> flip = options.perturb;

  struct Part {
    std::size_t prompt;
    Way way;
    LogitsReport* report;
  };
  std::vector<std::unique_ptr<Executor>> executors;
  std::vector<Part> parts;
  std::vector<std::vector<std::int32_t>> tokens;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    std::vector<std::int32_t> list = prompts[p].tokens;
    const bool thorough = p == 0;
    // The first text is evaluated past a page of 64 positions and in every way; the others vary the
    // widths. A short prompt is continued with any tokens: what they are does not matter here.
    const std::size_t size =
        thorough ? options.long_tokens : std::min(options.short_tokens, list.size());
    const auto more = synthetic_tokens(file.model->config().vocabulary,
                                       static_cast<std::int64_t>(options.long_tokens), 7);
    list.insert(list.end(), more.begin(), more.end());
    list.resize(std::min(size, static_cast<std::size_t>(file.model->config().context)));
    tokens.push_back(list);
    const auto count = static_cast<std::int64_t>(list.size());
    const auto add = [&](LogitsReport& report, std::string name, cpu::Isa isa, Executor* executor,
                         std::vector<std::int64_t> rows, std::int64_t most = 0) {
      Way way{std::move(name), isa, executor, std::move(rows), most};
      parts.push_back({p, std::move(way), &report});
    };
    for (std::int64_t width = 1; width <= 16; ++width)
      add(widths, fmt::format("width {}", width), options.isa, main_executor.get(), {width});
    add(splits, "the whole prompt in one call", options.isa, main_executor.get(), {count});
    for (int i = 0; i < (thorough ? 5 : 1); ++i) {
      const std::vector<std::int64_t> split = random_split(count, rng);
      add(splits, text_of(split), options.isa, main_executor.get(), split);
    }
    if (!thorough) continue;
    // What computes elsewhere has nothing of executors and instruction sets.
    const bool on_cpu = file.model->accelerator() == nullptr;
    const auto with = [&](std::string name, std::unique_ptr<Executor> executor) {
      if (!on_cpu) return;
      for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{5}})
        add(threads, fmt::format("{}, width {}", name, rows), options.isa, executor.get(), {rows},
            rows == 1 ? 8 : 0);
      executors.push_back(std::move(executor));
    };
    for (const unsigned n : {1u, 2u, 3u})
      with(fmt::format("pool of {} threads", n), must(make_pool_executor(n)));
    for (const unsigned n : {1u, 2u, 3u})
      if (auto openmp = make_openmp_executor(n))
        with(fmt::format("OpenMP with {} threads", n), *std::move(openmp));
    with("the calling thread", std::make_unique<SerialExecutor>());
    with("tasks only, reversed", std::make_unique<tests::TasksOnlyExecutor>(3, true));
    for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{6}}) {
      Way way{fmt::format("flushing, rounding up, width {}", rows),
              options.isa,
              main_executor.get(),
              {rows},
              24};
      way.modes = true;
      parts.push_back({p, way, &surroundings});
      way = {fmt::format("another sequence beside, width {}", rows),
             options.isa,
             main_executor.get(),
             {rows},
             rows == 1 ? 24 : 0};
      way.neighbour = true;
      parts.push_back({p, way, &surroundings});
    }
    for (const cpu::Isa isa : available_isas()) {
      if (!on_cpu) break;
      // Scalar code is slow; its bytes are as good after a few positions.
      const std::int64_t most = isa == cpu::Isa::scalar ? 7 : 0;
      add(isas, fmt::format("{}, width 1", to_string(isa)), isa, main_executor.get(), {1},
          most > 0 ? 2 : 12);
      add(isas, fmt::format("{}, width 7", to_string(isa)), isa, main_executor.get(), {7}, most);
    }
  }
  if (flip && (*flip < 0 || *flip >= static_cast<std::int64_t>(tokens[0].size())))
    bad_usage("--perturb", "positions 0..{} are compared, found {}", tokens[0].size() - 1, *flip);

  Progress progress("logits");
  std::optional<Sweep> sweep;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    progress.show(static_cast<double>(i) / static_cast<double>(parts.size()), part.way.name);
    if (i == 0 || parts[i - 1].prompt != part.prompt) {
      sweep.emplace(file, prompts[part.prompt], tokens[part.prompt],
                    options.machine.cache_element());
      Way one_row{"", options.isa, main_executor.get(), {1}};
      sweep->set_expected(one_row);
    }
    // The wrong bit goes into the run of width 4.
    const bool flips = flip && part.report == &widths && part.prompt == 0 && part.way.rows[0] == 4;
    sweep->compare(part.way, flips ? flip : std::nullopt, *part.report);
  }
  return {widths, splits, threads, isas, surroundings};
}

}  // namespace kedge::tools
