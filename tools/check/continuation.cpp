// A text that went back, was forked, saved and loaded, or was given piece by piece must go on with
// the tokens and logits of a text that was never touched.
#include <cstring>

#include "check/check.hpp"
#include "common/failure.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::tools {

namespace {

struct Text {
  std::vector<std::int32_t> tokens;
  std::vector<float> logits;  // of the row behind every token but the first
};

class Continuations {
 public:
  Continuations(const ModelFile& file, const Prompt& prompt, const CheckOptions& options)
      : file_(file), prompt_(prompt), options_(options), executor_(options.machine.executor()) {
    const auto length = static_cast<std::int64_t>(prompt.tokens.size());
    count_ = std::min(options.tokens, file.model->config().context - length);
    session_.isa = options.isa;
    session_.executor = executor_.get();
    session_.context = length + count_;
    session_.cache = options.machine.cache_element();
    session_.recurrent = options.machine.recurrent();
    session_.sequences = 2;
    Session whole = make();
    must(whole.begin(prompt.tokens));
    expected_ = go_on(whole);
    expected_.tokens.insert(expected_.tokens.begin(), whole.text()[prompt.tokens.size()]);
  }

  std::vector<ContinuationReport> all() {
    Session session = make();
    must(session.begin(prompt_.tokens));
    go_on(session);
    for (const std::int64_t made : {count_ * 3 / 4, count_ / 4}) {
      must(session.rewind(size(made)));
      compare("rewind", made, session);
    }
    must(session.rewind(size(count_ / 2)));
    {
      Session fork = must(session.fork());
      compare("fork", count_ / 2, session);
      compare("fork", count_ / 2, fork);
    }
    must(session.rewind(size(count_ / 2)));
    std::vector<std::byte> bytes;
    io::Sink sink = io::Sink::memory(bytes);
    must(session.save(sink));
    Session loaded = make();
    must(loaded.load(io::Source::memory(bytes, "saved session")));
    compare("save and load", count_ / 2, loaded);
    // The prompt in two parts, then some of the text as if it were one too.
    must(loaded.rewind(0));
    const std::size_t half = prompt_.tokens.size() / 2;
    must(loaded.extend(std::span(prompt_.tokens).first(half + 1)));
    must(loaded.rewind(static_cast<std::int64_t>(half + 1)));
    must(loaded.extend(std::span(prompt_.tokens).subspan(half + 1)));
    compare("extend", 1, loaded);
    return reports_;
  }

 private:
  Session make() {
    draft::AnyDrafter drafter =
        options_.draft.make({session_.context + 1, &file_, session_.executor, options_.isa});
    Session::Options options = session_;
    options.taps = drafter.taps();
    Session session = must(Session::create(file_.model, options));
    must(session.set_sampling(options_.sampling));
    session.set_drafter(std::move(drafter));
    session.set_least_need(Need::logits);
    return session;
  }
  std::int64_t size(std::int64_t made) const {
    return static_cast<std::int64_t>(prompt_.tokens.size()) + made;
  }
  Text go_on(Session& session) {
    Text text;
    for (std::int64_t left;
         (left = size(count_) - static_cast<std::int64_t>(session.text().size())) > 0;) {
      const Session::Round round = must(session.round(left));
      for (std::size_t i = 0; i < round.tokens.size(); ++i) {
        text.tokens.push_back(round.tokens[i]);
        const auto row = session.forward().logits(static_cast<std::int64_t>(i));
        text.logits.insert(text.logits.end(), row.begin(), row.end());
      }
    }
    return text;
  }
  void compare(const char* name, std::int64_t made, Session& session) {
    if (reports_.empty() || reports_.back().name != name) reports_.push_back({name});
    ContinuationReport& report = reports_.back();
    const Text found = go_on(session);
    const auto vocabulary = static_cast<std::size_t>(file_.model->config().vocabulary);
    const float* expected =
        expected_.logits.data() + static_cast<std::size_t>(made - 1) * vocabulary;
    const std::size_t bytes = found.logits.size() * sizeof(float);
    report.bytes += bytes;
    ++report.runs;
    const bool same = std::equal(found.tokens.begin(), found.tokens.end(),
                                 expected_.tokens.begin() + made, expected_.tokens.end()) &&
                      std::memcmp(found.logits.data(), expected, bytes) == 0;
    report.equal += same ? 1 : 0;
  }

  const ModelFile& file_;
  const Prompt& prompt_;
  const CheckOptions& options_;
  std::unique_ptr<Executor> executor_;
  std::int64_t count_ = 0;
  Session::Options session_;
  Text expected_;
  std::vector<ContinuationReport> reports_;
};

}  // namespace

std::vector<ContinuationReport> check_continuations(const ModelFile& file, const Prompt& prompt,
                                                    const CheckOptions& options) {
  return Continuations(file, prompt, options).all();
}

}  // namespace kedge::tools
