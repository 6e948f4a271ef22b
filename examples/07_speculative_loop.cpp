// usage: 07_speculative_loop MODEL [PROMPT]
// A loop over rounds with everything that a program wants of it: text as soon as it is certain,
// Ctrl-C, a limit, and what speculation did. generate() is such a loop.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <string>

#include "kedge/kedge.hpp"
#include "kedge/text/stream_decoder.hpp"
#include "must.hpp"

static std::atomic<bool> interrupted{false};

int main(int argc, char** argv) {
  using namespace kedge;
  const auto file = must(io::Gguf::open(argv[1]));
  const auto tokenizer = must(text::Tokenizer::from_gguf(file));
  auto stream = must(text::StreamDecoder::create(tokenizer, /*skip_special=*/true));
  const auto executor = must(make_default_executor(0));
  Model::Options load;
  load.executor = executor.get();
  Session::Options options;
  options.executor = executor.get();
  auto session = must(Session::create(must(Model::load(file, load)), options));
  session.set_drafter(must(draft::AnyDrafter::make(must(draft::Lookup::create({})))));
  std::signal(SIGINT, [](int) { interrupted = true; });

  const auto print = [&](std::string_view bytes) {
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    std::fflush(stdout);
  };
  GenerateOptions first;
  first.cancel = &interrupted;
  print(stream.push(must(session.begin(
      must(tokenizer.encode(argc > 2 ? argv[2] : "one two three one two three one")), first))));
  RoundOptions round;
  round.end_tokens = tokenizer.ends();
  round.cancel = &interrupted;
  for (round.limit = 64; round.limit > 0;) {
    auto made = session.round(round);
    if (!made && made.error().code == Code::cancelled) break;  // the session is as before the round
    const Session::Round r = must(std::move(made));
    for (const std::int32_t token : r.tokens) print(stream.push(token));
    round.limit -= static_cast<std::int64_t>(r.tokens.size());
    if (r.stop != StopReason::none) break;
  }
  print(stream.finish());
  const Stats& s = session.stats();
  std::printf("\n%lld tokens in %lld rounds: %lld drafted, %lld held; %.1f tokens/s\n",
              static_cast<long long>(s.tokens), static_cast<long long>(s.rounds),
              static_cast<long long>(s.proposed), static_cast<long long>(s.accepted),
              s.tokens_per_second());
}
