// --draft lookup
#include "kedge/draft/lookup.hpp"

#include "common/drafters/kinds.hpp"
#include "common/failure.hpp"

namespace kedge::tools {

namespace {

constexpr DraftKey lookup_keys[] = {
    {"n", "8", 1, 31, "tokens at most"},
    {"min", "2", 1, 1024, "shortest match"},
};

}  // namespace

const DraftKind lookup_kind = {
    "lookup", "copies what followed the longest match", lookup_keys,
    [](const DraftValues& values) { return values.number("n"); },
    [](const DraftValues& values, const DraftRequest& request) {
      draft::Lookup::Options options;
      options.length = values.number("n");
      options.min_match = values.number("min");
      options.capacity = request.capacity;
      return must(draft::AnyDrafter::make(must(draft::Lookup::create(options))));
    }};

}  // namespace kedge::tools
