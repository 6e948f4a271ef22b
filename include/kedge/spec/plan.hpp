// SpeculationPlan: which draft a model gets, out of what the caller says, what is configured for
// the model, what is configured in general, and what its package declares (io/package.hpp), in this
// order. What is said explicitly wins over all that stands behind it; a package's default applies
// where nobody says anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kedge/io/package.hpp"

namespace kedge::inline KEDGE_ABI::spec {

// What one level says. Empty members: nothing.
struct SpeculationWish {
  enum class Mode : std::uint8_t { automatic, disabled, draft_model, ngram };
  std::optional<Mode> mode;
  std::string draft_model;       // a path, or "owner/repo:QUANT"
  std::string package_strategy;  // by name, or "default"
  std::optional<io::WindowPolicy> window;
  std::int64_t max_draft = 0;  // guesses; 0: not said. A bound, whoever chooses the draft
  // Of a draft model, which has its own.
  std::string backend, device, cache;
  std::int64_t threads = 0;
};

struct SpeculationPlan {
  enum class Kind : std::uint8_t { none, draft_model, ngram };
  Kind kind = Kind::none;
  std::string draft_model;
  std::string strategy;  // of the package, empty when it is not from there
  std::optional<io::WindowPolicy> window;
  std::int64_t max_draft = 31;
  std::string backend, device, cache;  // empty: the target's
  std::int64_t threads = 0;            // 0: the target's
  const char* from = "nothing said";   // who decided: "call", "model", "defaults", "package"
};

struct SpeculationSources {
  SpeculationWish call, model, defaults;
  const io::Package* package = nullptr;  // borrowed; may be null
  bool no_draft = false;                 // none, whatever else is said
};

// Errors: a strategy that is named and not there, a draft model that is wanted and not named.
KEDGE_API Result<SpeculationPlan> plan_speculation(const SpeculationSources& sources) noexcept;

// How a host finds models: the path of a file for "owner/repo:QUANT", or an error that says why
// not.
struct DraftLookup {
  void* context = nullptr;
  Result<std::string> (*find)(void* context, const io::DraftReference& reference) = nullptr;
};
// A path as it is; a reference through the host. A failure is one to warn of, not to stop at: the
// model runs without its draft.
KEDGE_API Result<std::string> find_draft(const std::string& draft_model,
                                         const DraftLookup& host) noexcept;

}  // namespace kedge::inline KEDGE_ABI::spec
