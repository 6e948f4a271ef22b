// --draft dspark:path=FILE, dflash:path=FILE and mtp
#include "common/drafters/dspark.hpp"

#include "common/drafters/kinds.hpp"
#include "common/failure.hpp"
#include "common/machine.hpp"
#include "kedge/draft/dspark.hpp"
#include "kedge/draft/mtp.hpp"

namespace kedge::tools {

namespace {

Model::Options model_options(const std::string& quantize, Executor* executor) {
  Model::Options options;
  options.executor = executor;
  if (quantize == "none") return options;
  for (const Element element : {Element::q8_0, Element::q4_0, Element::q4_k})
    if (quantize == to_string(element)) options.quantize = element;
  if (!options.quantize)
    bad_usage("--draft", "quantize: expected none, q8_0, q4_0 or q4_k, found \"{}\"", quantize);
  return options;
}

constexpr DraftKey dspark_keys[] = {
    {"path", nullptr, 0, 0, "folder or GGUF file of the draft model"},
    {"n", "8", 1, 31, "tokens at most; the whole block runs all the same"},
    {"quantize", "none", 0, 0, "its matrices become q8_0, q4_0 or q4_k"},
    {"cache", "f16", 0, 0, "keys and values: f32, f16, bf16 or q8_0"},
};

constexpr DraftKey mtp_keys[] = {
    {"n", "3", 1, 31, "tokens at most"},
    {"quantize", "none", 0, 0, "its matrices become q8_0, q4_0 or q4_k"},
    {"cache", "f16", 0, 0, "keys and values: f32, f16, bf16 or q8_0"},
};

std::shared_ptr<const Model> target_of(const char* kind, const DraftRequest& request) {
  if (request.target == nullptr || request.target->model == nullptr)
    bad_usage("--draft", "{} reads hidden states of a target, and there is none here", kind);
  return request.target->model;
}

// Limits a drafter to n guesses.
template <class D>
class Limited {
 public:
  Limited(D drafter, std::int64_t most) : drafter_(std::move(drafter)), most_(most) {}
  Status begin(std::span<const std::int32_t> t) { return drafter_.begin(t); }
  Status append(std::span<const std::int32_t> t) { return drafter_.append(t); }
  Status truncate(std::int64_t count) { return drafter_.truncate(count); }
  std::span<const std::int32_t> taps() const { return drafter_.taps(); }
  Status evaluated(std::int64_t p, const Tensor& f) { return drafter_.evaluated(p, f); }
  Status propose(draft::Ask ask, draft::Draft& draft) {
    ask.count = std::min(ask.count, most_);
    return drafter_.propose(ask, draft);
  }
  void feedback(const draft::Outcome& o) { drafter_.feedback(o); }
  const char* name() const { return drafter_.name(); }

 private:
  D drafter_;
  std::int64_t most_;
};

draft::AnyDrafter make_dspark(const DraftValues& values, const DraftRequest& request) {
  const auto model = load_dspark(values.text("path"), target_of("dspark", request),
                                 values.text("quantize"), request.executor);
  draft::Dspark::Options options;
  options.positions = request.capacity;
  options.cache = cache_element_named(values.text("cache"));
  auto drafter = must(
      draft::Dspark::create(model, must(Cpu::create({request.isa, request.executor})), options));
  return must(draft::AnyDrafter::make(Limited(std::move(drafter), values.number("n"))));
}

}  // namespace

std::shared_ptr<const draft::DsparkModel> load_dspark(const std::string& path,
                                                      std::shared_ptr<const Model> target,
                                                      const std::string& quantize,
                                                      Executor* executor,
                                                      std::shared_ptr<Accelerator> accelerator) {
  const ModelFiles files = must(ModelFiles::open(path.c_str()));
  Model::Options options = model_options(quantize, executor);
  options.accelerator = std::move(accelerator);
  if (target == nullptr) return must(draft::DsparkModel::load(files, options));
  return must(draft::DsparkModel::load(files, std::move(target), options));
}

const DraftKind dspark_kind = {
    "dspark", "a DSpark or DFlash draft model guesses a block", dspark_keys,
    [](const DraftValues& values) { return values.number("n"); }, make_dspark};
const DraftKind dflash_kind = {"dflash", "the same as dspark", dspark_keys,
                               [](const DraftValues& values) { return values.number("n"); },
                               make_dspark};

const DraftKind mtp_kind = {
    "mtp", "the model's own layer for further tokens guesses", mtp_keys,
    [](const DraftValues& values) { return values.number("n"); },
    [](const DraftValues& values, const DraftRequest& request) {
      std::shared_ptr<const Model> target = target_of("mtp", request);
      const ModelFiles files = must(ModelFiles::open(request.target->path.c_str()));
      const auto model = must(draft::MtpModel::load(
          files, std::move(target), model_options(values.text("quantize"), request.executor)));
      draft::Mtp::Options options;
      options.length = values.number("n");
      options.positions = request.capacity;
      options.cache = cache_element_named(values.text("cache"));
      return must(draft::AnyDrafter::make(must(
          draft::Mtp::create(model, must(Cpu::create({request.isa, request.executor})), options))));
    }};

}  // namespace kedge::tools
