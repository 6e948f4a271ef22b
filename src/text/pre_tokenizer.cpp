#include "pre_tokenizer.hpp"

namespace kedge::inline KEDGE_ABI::text {

void PreTokenizer::add_split(Regex regex, Behavior behavior, bool invert) {
  Step step;
  step.kind = Kind::split;
  step.behavior = behavior;
  step.invert = invert;
  step.regex = std::move(regex);
  steps_.push_back(std::move(step));
}

void PreTokenizer::add_prefix_space() {
  Step step;
  step.kind = Kind::prefix_space;
  step.prefix = Prefix::always;
  steps_.push_back(std::move(step));
}

Status PreTokenizer::add_metaspace(std::string_view replacement, Prefix prefix, bool split) {
  Step step;
  step.kind = Kind::metaspace;
  step.behavior = split ? Behavior::merged_with_next : Behavior::isolated;
  step.prefix = prefix;
  step.replacement = replacement;
  KEDGE_TRY(step.regex, Regex::compile(quoted_regex(replacement), "pre_tokenizer"));
  steps_.push_back(std::move(step));
  return {};
}

Result<Splitter> Splitter::create(const PreTokenizer& pre) {
  KEDGE_TRY(Matcher matcher, Matcher::create());
  Splitter splitter(std::move(matcher));
  splitter.pre_ = &pre;
  splitter.scratch_.resize(pre.steps_.size());
  return splitter;
}

std::string_view Splitter::change(std::size_t at, std::string_view text, bool first) {
  const PreTokenizer::Step& step = pre_->steps_[at];
  std::string& out = scratch_[at].text;
  out.clear();
  if (step.kind == PreTokenizer::Kind::prefix_space) {
    if (text.starts_with(' ')) return text;
    out.append(" ").append(text);
    return out;
  }
  const bool begins = text.starts_with(' ') || text.starts_with(step.replacement);
  if (!begins && (step.prefix == Prefix::always || (step.prefix == Prefix::first && first)))
    out = step.replacement;
  for (const char c : text) {
    if (c == ' ') out += step.replacement;
    else out += c;
  }
  return out;
}

Status Splitter::collect(std::size_t at, std::string_view text) {
  const PreTokenizer::Step& step = pre_->steps_[at];
  std::vector<Range>& ranges = scratch_[at].ranges;
  ranges.clear();
  bool last_matched = false;
  // In the order of the text; merged_with_next is decided when the piece after a match comes.
  const auto add = [&](std::size_t begin, std::size_t end, bool matched) {
    if (begin == end && !matched) return;  // an empty match still parts what is around it
    matched = matched != step.invert;
    bool joins = false;
    switch (step.behavior) {
      case Behavior::isolated:
        break;
      case Behavior::removed:
        if (matched) return;
        break;
      case Behavior::contiguous:
        joins = matched == last_matched;
        break;
      case Behavior::merged_with_previous:
        joins = matched && !last_matched;
        break;
      case Behavior::merged_with_next:
        joins = !matched && last_matched;
        break;
    }
    if (joins && !ranges.empty()) ranges.back().end = end;
    else ranges.push_back({begin, end});
    last_matched = matched;
  };
  std::size_t done = 0;
  KEDGE_CHECK(each_match(matcher_, step.regex, text, [&](std::size_t begin, std::size_t end) {
    add(done, begin, false);
    add(begin, end, true);
    done = end;
    return Status();
  }));
  add(done, text.size(), false);
  return {};
}

}  // namespace kedge::inline KEDGE_ABI::text
