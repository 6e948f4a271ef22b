// Going back, forking, saving and loading.
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "kedge/core/hash.hpp"
#include "kedge/io/sink.hpp"
#include "kedge/io/source.hpp"
#include "kedge/spec/session.hpp"

namespace kedge::inline KEDGE_ABI {

namespace {

constexpr std::uint64_t magic = 0x315345534744454Bu;  // "KEDGSES1", read as bytes
constexpr std::uint64_t version = 2;                  // with the sequence behind it

// What stands before the tokens and the biases, all in 64-bit words.
struct Head {
  std::uint64_t magic, version, vocabulary, size, length, prompt, constrained, biases;
  std::uint64_t seed, top_k, penalty_window;
  double temperature, top_p, min_p, repetition, frequency, presence;
};
static_assert(sizeof(Head) == 17 * 8);

template <class T>
std::span<const std::byte> bytes_of(const T& value) noexcept {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

Status Session::rewind(std::int64_t count) noexcept {
  if (count < 0 || count > size_)
    return fail(Code::invalid_argument, "session", "rewind: expected 0..%lld, found %lld",
                static_cast<long long>(size_), static_cast<long long>(count));
  // The newest token is not evaluated.
  seen_ = std::min(std::max(seen_, sequence_.length()), std::max<std::int64_t>(0, count - 1));
  KEDGE_CHECK(sequence_.rewind(std::min(sequence_.length(), seen_)));
  size_ = count;
  prompt_ = std::min(prompt_, count);
  cut_drafter();
  replay_constraint();
  return {};
}

Result<Session> Session::fork() const noexcept {
  Session other;
  other.options_ = options_;
  other.engine_ = engine_;
  KEDGE_TRY(other.sequence_, sequence_.fork());
  KEDGE_CHECK(other.allocate());
  KEDGE_CHECK(other.set_sampling(sampling()));
  KEDGE_CHECK(other.set_verification(verification_));
  std::copy(text().begin(), text().end(), other.text_.as<std::int32_t>());
  other.size_ = size_;
  other.prompt_ = prompt_;
  other.seen_ = seen_;
  other.constraint_ = constraint_;
  other.state_ = state_;
  other.constrained_ = constrained_;
  other.alternatives_ = alternatives_;
  other.least_need_ = least_need_;
  return other;
}

Status Session::save(io::Sink& sink) const noexcept {
  const SamplingOptions& o = sampling();
  const auto word = [](std::int64_t x) { return static_cast<std::uint64_t>(x); };
  Head head{magic,
            version,
            word(model().config().vocabulary),
            word(size_),
            word(sequence_.length()),
            word(prompt_),
            word(constrained_),
            o.logit_bias.size(),
            o.seed,
            word(o.top_k),
            word(o.penalty_window),
            o.temperature,
            o.top_p,
            o.min_p,
            o.repetition_penalty,
            o.frequency_penalty,
            o.presence_penalty};
  Hash hash;
  for (const auto part : {bytes_of(head), std::as_bytes(text()), std::as_bytes(o.logit_bias)}) {
    hash.add(part);
    KEDGE_CHECK(sink.write(part));
  }
  const std::uint64_t digest = hash.value();
  KEDGE_CHECK(sink.write(bytes_of(digest)));
  return sequence_.save(sink, model().fingerprint());
}

Status Session::load(const io::Source& source) noexcept {
  const auto malformed = [&](const char* what, std::uint64_t found) {
    return fail(Code::malformed, source.name(), "saved session: %s: found %llu", what,
                static_cast<unsigned long long>(found));
  };
  Head head;
  KEDGE_CHECK(source.read(0, std::as_writable_bytes(std::span(&head, 1))));
  if (head.magic != magic) return malformed("its first bytes are not those of one", head.magic);
  if (head.version != version)
    return fail(
        Code::unsupported, source.name(), "saved session: version: expected %llu, found %llu",
        static_cast<unsigned long long>(version), static_cast<unsigned long long>(head.version));
  const auto vocabulary = static_cast<std::uint64_t>(model().config().vocabulary);
  if (head.vocabulary != vocabulary)
    return fail(Code::unsupported, source.name(),
                "saved session: vocabulary: expected %llu, found %llu",
                static_cast<unsigned long long>(vocabulary),
                static_cast<unsigned long long>(head.vocabulary));
  const auto room = static_cast<std::uint64_t>(context()) + 1;
  if (head.size > room)
    return fail(Code::out_of_memory, source.name(),
                "saved session: a text of %llu tokens, this session has room for %llu",
                static_cast<unsigned long long>(head.size), static_cast<unsigned long long>(room));
  // Recurrent layers may be behind after a rewind.
  if (head.length > head.size ||
      (head.size - head.length > 1 && model().config().recurrent.empty()))
    return malformed("positions that do not fit the text", head.length);
  if (head.prompt > head.size) return malformed("a prompt longer than the text", head.prompt);
  if (head.constrained > head.size)
    return malformed("a constraint behind the text", head.constrained);
  if (head.biases > source.size() / sizeof(LogitBias))
    return malformed("more biases than the file has room for", head.biases);
  if (head.top_k > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max()))
    return malformed("top_k", head.top_k);

  const auto text_bytes = static_cast<std::size_t>(head.size) * sizeof(std::int32_t);
  const auto bias_bytes = static_cast<std::size_t>(head.biases) * sizeof(LogitBias);
  KEDGE_TRY(const Buffer body, Buffer::create(text_bytes + bias_bytes + sizeof(std::uint64_t),
                                              "saved session", options_.allocator));
  std::uint64_t offset = sizeof head;
  KEDGE_CHECK(source.read(offset, {body.data(), body.size()}));
  offset += body.size();
  Hash hash;
  hash.add(bytes_of(head));
  hash.add({body.data(), text_bytes + bias_bytes});
  std::uint64_t digest;
  std::memcpy(&digest, body.data() + text_bytes + bias_bytes, sizeof digest);
  if (digest != hash.value()) return malformed("its text was changed", digest);
  const auto* tokens = body.as<const std::int32_t>();
  for (std::uint64_t i = 0; i < head.size; ++i)
    if (tokens[i] < 0 || static_cast<std::uint64_t>(tokens[i]) >= vocabulary)
      return malformed("a token that does not exist", static_cast<std::uint32_t>(tokens[i]));

  SamplingOptions o;
  o.temperature = head.temperature;
  o.top_k = static_cast<std::int32_t>(head.top_k);
  o.top_p = head.top_p;
  o.min_p = head.min_p;
  o.repetition_penalty = head.repetition;
  o.frequency_penalty = head.frequency;
  o.presence_penalty = head.presence;
  o.penalty_window = static_cast<std::int64_t>(head.penalty_window);
  o.logit_bias = {body.as<const LogitBias>(text_bytes), static_cast<std::size_t>(head.biases)};
  o.seed = head.seed;
  KEDGE_TRY(Sampler sampler,
            Sampler::create(options_.isa, model().config().vocabulary, o, options_.allocator));
  KEDGE_TRY([[maybe_unused]] const std::uint64_t end,
            sequence_.load(source, offset, model().fingerprint(),
                           static_cast<std::int64_t>(head.length)));
  // Nothing fails from here on.
  sampler_ = std::move(sampler);
  size_ = static_cast<std::int64_t>(head.size);
  prompt_ = static_cast<std::int64_t>(head.prompt);
  seen_ = 0;
  constrained_ = static_cast<std::int64_t>(head.constrained);
  if (size_ > 0) std::memcpy(text_.data(), tokens, text_bytes);
  stats_ = {};
  drafting_ = false;
  replay_constraint();
  return {};
}

}  // namespace kedge::inline KEDGE_ABI
