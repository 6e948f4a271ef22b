// What the program knows of a kind of drafter: its name, its keys, and how one is made. Every kind
// has a file of its own in drafters/ and a line in drafters/kinds.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/model_file.hpp"
#include "kedge/backend/cpu.hpp"
#include "kedge/draft/drafter.hpp"

namespace kedge::tools {

// "n=8": a whole number between least and most, or a text (most 0).
struct DraftKey {
  const char* name;
  const char* fallback;  // when it is not given; null: it must be
  std::int64_t least, most;
  const char* meaning;
};

// The values of all keys of a kind, checked against their bounds.
class DraftValues {
 public:
  std::int64_t number(const char* key) const;
  const std::string& text(const char* key) const;

 private:
  friend struct DraftItem;
  std::vector<std::pair<std::string, std::string>> values_;
};

// What the drafters of one choice share and need as long as they live: models, executors, tables.
// Each is made once, under its name.
class DraftShared {
 public:
  // make() returns a shared_ptr.
  template <class Make>
  auto* get(const std::string& name, Make&& make) {
    using T = typename decltype(make())::element_type;
    std::shared_ptr<void>& slot = made_[name];
    if (slot == nullptr) slot = make();
    return static_cast<T*>(slot.get());
  }

 private:
  std::map<std::string, std::shared_ptr<void>> made_;
};

// What a drafter is made for. Everything but `capacity` is only for kinds that ask for it.
struct DraftRequest {
  std::int64_t capacity = 0;          // tokens of the longest text: the session's context and one
  const ModelFile* target = nullptr;  // whose text it guesses
  Executor* executor = nullptr;       // the target's, which waits while the drafter works
  cpu::Isa isa = cpu::Isa::best;
  DraftShared* shared = nullptr;
};

struct DraftKind {
  const char* name;
  const char* meaning;
  std::span<const DraftKey> keys;
  // The most guesses that one with these values has.
  std::int64_t (*length)(const DraftValues& values);
  draft::AnyDrafter (*make)(const DraftValues& values, const DraftRequest& request);
};

}  // namespace kedge::tools
