#include "common/sampling.hpp"

#include <fmt/format.h>

namespace kedge::tools {

void SamplingChoice::add(CLI::App& app) {
  // The library checks the ranges, and says so in the same words to every program.
  const auto number = [&]<class T>(const char* name, T& value, const char* help) {
    app.add_option_function<T>(
        name,
        [this, &value](const T& found) {
          value = found;
          given = true;
        },
        help);
  };
  number("--temperature", options.temperature, "0: always the most likely token");
  number("--top-k", options.top_k, "Draw from the k most likely tokens; 0: all");
  number("--top-p", options.top_p,
         "Draw from the most likely tokens that together reach p; 1: all");
  number("--min-p", options.min_p, "Draw from tokens at least so probable beside the most likely");
  number("--repetition-penalty", options.repetition_penalty,
         "Divides (or multiplies) logits of the last tokens; 1: none");
  number("--frequency-penalty", options.frequency_penalty,
         "Subtracted for each time that a token is among the last ones");
  number("--presence-penalty", options.presence_penalty,
         "Subtracted once for a token among the last ones");
  number("--penalty-window", options.penalty_window,
         "How many last tokens penalties look at; -1: the whole text");
  number("--seed", options.seed, "Of the noise: the same seed gives the same text");
}

std::string SamplingChoice::text() const {
  const SamplingOptions& o = options;
  std::string text =
      o.temperature > 0 ? fmt::format("temperature {}, seed {}", o.temperature, o.seed) : "greedy";
  if (o.temperature > 0 && o.top_k > 0) text += fmt::format(", top_k {}", o.top_k);
  if (o.temperature > 0 && o.top_p < 1) text += fmt::format(", top_p {}", o.top_p);
  if (o.temperature > 0 && o.min_p > 0) text += fmt::format(", min_p {}", o.min_p);
  if (o.penalizes())
    text += fmt::format(", penalties {} {} {} over {}", o.repetition_penalty, o.frequency_penalty,
                        o.presence_penalty, o.penalty_window);
  return text;
}

}  // namespace kedge::tools
