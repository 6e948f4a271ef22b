// What `kedge check` proves, part by part.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/drafter.hpp"
#include "common/machine.hpp"
#include "common/model_file.hpp"
#include "common/output.hpp"
#include "common/prompts.hpp"
#include "kedge/sample/options.hpp"

namespace kedge::tools {

struct CheckOptions {
  MachineOptions machine;
  cpu::Isa isa = cpu::Isa::best;
  DraftChoice draft;
  SamplingOptions sampling;             // how both texts are drawn
  std::int64_t tokens = 32;             // generated per prompt
  std::size_t long_tokens = 68;         // positions of the first text whose logits are compared
  std::size_t short_tokens = 16;        // and of the others
  std::int64_t pairs = 6;               // every (proposed, accepted) up to this is forced once
  std::optional<std::int64_t> perturb;  // position whose logits get one wrong bit in one run
};

// Bytes of logits compared under one kind of variation.
struct LogitsReport {
  std::string over;  // "widths 1..16"
  std::int64_t runs = 0;
  std::uint64_t bytes = 0, differing = 0;
  std::string first_difference{};  // names run, position, logit and byte
};

// Each kind of variation against one row a call on the best ISA.
std::vector<LogitsReport> check_logits(const ModelFile& file, const std::vector<Prompt>& prompts,
                                       const CheckOptions& options);

struct SpeculationReport {
  std::int64_t texts = 0, equal = 0;      // prompts whose every speculative text equals plain
  std::int64_t runs = 0;                  // speculative generations
  std::int64_t accepted = 0, undone = 0;  // drafts
  std::int64_t pairs = 0;                 // (proposed, accepted) that were forced
  std::uint64_t state_bytes_changed = 0;  // by commits
  std::uint64_t state_bytes_compared = 0;
  std::uint64_t poisoned_bytes = 0;  // of undone rows, set to NaN
  std::int64_t counted_rounds = 0, allocations = 0;
  std::string first_difference;
};

SpeculationReport check_speculation(const ModelFile& file, const std::vector<Prompt>& prompts,
                                    const CheckOptions& options);

// Texts that went on after one kind of change, against the text that never changed.
struct ContinuationReport {
  std::string name;  // "rewind"
  std::int64_t runs = 0, equal = 0;
  std::uint64_t bytes = 0;  // of logits compared
};

std::vector<ContinuationReport> check_continuations(const ModelFile& file, const Prompt& prompt,
                                                    const CheckOptions& options);

}  // namespace kedge::tools
