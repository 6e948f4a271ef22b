#include "kedge/draft/vocabulary.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace kedge::tests {
namespace {

using draft::vocabulary_of;

struct Words {
  std::vector<std::string> words;
  std::set<std::int32_t> special = {}, unused = {};

  std::int32_t size() const { return static_cast<std::int32_t>(words.size()); }
  std::string_view token_bytes(std::int32_t id) const {
    return words[static_cast<std::size_t>(id)];
  }
  bool is_special(std::int32_t id) const { return special.count(id) > 0; }
  bool is_unused(std::int32_t id) const { return unused.count(id) > 0; }
};

std::string difference(const Words& target, const Words& draft) {
  const Status same = draft::expect_same_vocabulary(vocabulary_of(target), vocabulary_of(draft));
  if (same) return "";
  EXPECT_EQ(same.error().code, Code::invalid_argument);
  return same.error().reason;
}

TEST(Vocabulary, UnusedIdsBehindTheOthersAreNoDifference) {
  const Words words{{"a", "b", "<end>"}, {2}};
  EXPECT_EQ(difference(words, words), "");
  const Words padded{{"a", "b", "<end>", "[PAD3]", "[PAD4]"}, {2}, {3, 4}};
  EXPECT_EQ(difference(padded, words), "");
  EXPECT_EQ(difference(words, padded), "");
  const Words named{{"a", "b", "<end>", "[X3]", "[X4]"}, {2}, {3, 4}};
  EXPECT_EQ(difference(named, padded), "") << "what unused ids are called is of no account";
}

TEST(Vocabulary, TheErrorSaysHowManyDifferAndHow) {
  const Words target{{"a", "b", "c", "d", "e", "<end>"}, {5}};
  EXPECT_EQ(difference(target, {{"a", "B", "c", "d", "e", "<end>"}, {5}}),
            "1 of 6 ids differ (target 6, draft 6): 1 is 'b' in the target, 'B' in the draft");
  EXPECT_EQ(difference(target, {{"a", "b", "c", "d", "e", "<end>"}}),
            "1 of 6 ids differ (target 6, draft 6): 5 is special '<end>' in the target, '<end>' in "
            "the draft");
  EXPECT_EQ(difference(target, {{"a", "b", "c", "d"}}),
            "2 of 6 ids differ (target 6, draft 4): 4 is 'e' in the target, not there in the "
            "draft; 5 is special '<end>' in the target, not there in the draft");
  const std::string many = difference(target, {{"b", "c", "d", "e", "f", "g"}, {}, {2}});
  EXPECT_EQ(many.find("6 of 6 ids differ"), 0u) << many;
  EXPECT_NE(many.find("2 is 'c' in the target, unused in the draft"), std::string::npos) << many;
  EXPECT_EQ(many.find(" 3 is"), std::string::npos) << "three are enough: " << many;
  // Hostile names are cut and made printable.
  const std::string hostile =
      difference(target, {{std::string(500, '\n'), "b", "c", "d", "e", "<end>"}, {5}});
  EXPECT_EQ(hostile.find('\n'), std::string::npos);
  EXPECT_NE(hostile.find("???"), std::string::npos);
}

TEST(Vocabulary, AMapJoinsEqualTexts) {
  const Words target{{"a", "b", "c", "<end>", "x", "x"}, {3}, {2}};
  const Words draft{{"x", "<end>", "b", "a", "c", "new", "x"}, {1}};
  auto map = draft::map_vocabulary(vocabulary_of(target), vocabulary_of(draft));
  ASSERT_TRUE(map) << map.error().reason;
  using Ids = std::vector<std::int32_t>;
  EXPECT_EQ(Ids(map->to_target.begin(), map->to_target.end()), (Ids{4, 3, 1, 0, -1, -1, -1}));
  EXPECT_EQ(Ids(map->to_draft.begin(), map->to_draft.end()), (Ids{3, 2, -1, 1, 0, -1}));
  EXPECT_EQ(map->shared, 4);
  // The same text as a special token and as a plain one is not the same token.
  EXPECT_FALSE(
      draft::map_vocabulary(vocabulary_of(Words{{"<end>"}, {0}}), vocabulary_of(Words{{"<end>"}})));
}

}  // namespace
}  // namespace kedge::tests
