#include "kedge/draft/vocabulary.hpp"

#include <algorithm>
#include <cstdio>
#include <unordered_map>

#include "io/guarded.hpp"
#include "io/shown.hpp"

namespace kedge::inline KEDGE_ABI::draft {

namespace {

using Use = Vocabulary::Use;
constexpr const char* place = "draft vocabulary";

Use use_of(const Vocabulary& v, std::int32_t id) noexcept {
  return id < v.size ? v.use(v.tokenizer, id) : Use::unused;
}

bool same(const Vocabulary& a, const Vocabulary& b, std::int32_t id) noexcept {
  const Use use = use_of(a, id);
  if (use != use_of(b, id)) return false;
  return use == Use::unused || a.text(a.tokenizer, id) == b.text(b.tokenizer, id);
}

// "special '<|im_end|>'", "unused"
void describe(const Vocabulary& v, std::int32_t id, char (&to)[72]) noexcept {
  const Use use = use_of(v, id);
  if (use == Use::unused) std::snprintf(to, sizeof to, "%s", id < v.size ? "unused" : "not there");
  else
    std::snprintf(to, sizeof to, "%s'%.50s'", use == Use::special ? "special " : "",
                  io::Shown(v.text(v.tokenizer, id)).text());
}

}  // namespace

Status expect_same_vocabulary(const Vocabulary& target, const Vocabulary& draft) noexcept {
  constexpr std::int32_t shown = 3;
  char examples[256] = {};
  std::int32_t differing = 0;
  std::size_t length = 0;
  const std::int32_t size = std::max(target.size, draft.size);
  for (std::int32_t id = 0; id < size; ++id) {
    if (same(target, draft, id)) continue;
    if (++differing > shown) continue;
    char a[72], b[72];
    describe(target, id, a);
    describe(draft, id, b);
    const int written = std::snprintf(examples + length, sizeof examples - length,
                                      "%s %d is %s in the target, %s in the draft",
                                      differing > 1 ? ";" : "", id, a, b);
    length = std::min(sizeof examples - 1, length + static_cast<std::size_t>(std::max(written, 0)));
  }
  if (differing == 0) return {};
  return fail(Code::invalid_argument, place, "%d of %d ids differ (target %d, draft %d):%s",
              differing, size, target.size, draft.size, examples);
}

Result<VocabularyMap> map_vocabulary(const Vocabulary& target, const Vocabulary& draft,
                                     const Allocator& allocator) noexcept {
  return io::guarded(place, [&]() -> Result<VocabularyMap> {
    VocabularyMap map;
    const auto drafts = static_cast<std::size_t>(draft.size),
               targets = static_cast<std::size_t>(target.size);
    KEDGE_TRY(map.memory,
              Buffer::create((drafts + targets) * sizeof(std::int32_t), place, allocator));
    const std::span<std::int32_t> to_target(map.memory.as<std::int32_t>(), drafts),
        to_draft(map.memory.as<std::int32_t>() + drafts, targets);
    std::fill(to_target.begin(), to_target.end(), -1);
    std::fill(to_draft.begin(), to_draft.end(), -1);
    // Of the target's; where two tokens have one text the lower id is meant.
    std::unordered_map<std::string_view, std::int32_t> plain, special;
    for (std::int32_t id = 0; id < target.size; ++id) {
      const Use use = use_of(target, id);
      if (use != Use::unused)
        (use == Use::special ? special : plain).emplace(target.text(target.tokenizer, id), id);
    }
    for (std::int32_t id = 0; id < draft.size; ++id) {
      const Use use = use_of(draft, id);
      if (use == Use::unused) continue;
      const auto& known = use == Use::special ? special : plain;
      const auto found = known.find(draft.text(draft.tokenizer, id));
      if (found == known.end()) continue;
      const auto at = static_cast<std::size_t>(found->second);
      if (to_draft[at] >= 0) continue;  // one to one
      to_target[static_cast<std::size_t>(id)] = found->second;
      to_draft[at] = id;
      ++map.shared;
    }
    map.to_target = to_target;
    map.to_draft = to_draft;
    if (map.shared == 0)
      return fail(Code::invalid_argument, place,
                  "no token of the draft's %d has the text of one of the target's %d", draft.size,
                  target.size);
    return map;
  });
}

}  // namespace kedge::inline KEDGE_ABI::draft
