// What every consumer does with Kedge: a few tokens of a tiny model, speculated and plain, which
// must be equal. Everything through public headers.
#pragma once

#include <cstdint>
#include <cstdio>

#include "kedge/kedge.hpp"

namespace consumer {

// 0 when both texts are equal; the tokens go to `out`, which has room for `count`.
inline int decode(const char* path, std::int32_t* out, int count) noexcept {
  const auto failed = [](const kedge::Error& error) {
    std::fprintf(stderr, "%s: %s: %s\n", to_string(error.code), error.place, error.reason);
    return 1;
  };
  auto model = kedge::Model::load(path, {});
  if (!model) return failed(model.error());
  kedge::Session::Options options;
  options.context = 128;
  auto session = kedge::Session::create(*model, options);
  if (!session) return failed(session.error());
  const std::int32_t prompt[] = {1, 2, 3, 1, 2, 3, 1, 2};
  for (int run = 0; run < 2; ++run) {
    if (run == 1) {
      auto lookup = kedge::draft::Lookup::create({});
      if (!lookup) return failed(lookup.error());
      auto drafter = kedge::draft::AnyDrafter::make(*std::move(lookup));
      if (!drafter) return failed(drafter.error());
      session->set_drafter(*std::move(drafter));
    }
    auto first = session->begin(prompt);
    if (!first) return failed(first.error());
    int done = 0;
    const auto take = [&](std::int32_t token) {
      if (run == 0) out[done] = token;
      if (out[done] != token) return false;
      ++done;
      return true;
    };
    if (!take(*first)) return 2;
    while (done < count) {
      auto round = session->round(count - done);
      if (!round) return failed(round.error());
      for (const std::int32_t token : round->tokens)
        if (!take(token)) return 2;
    }
  }
  return 0;
}

}  // namespace consumer
