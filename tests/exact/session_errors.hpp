// A session whose answer to one prompt is known, to be asked again after something went wrong.
#pragma once

#include "exact/decode.hpp"
#include "exact/errors.hpp"
#include "exact/tiny_model.hpp"

namespace kedge::tests {

class SessionErrors : public ::testing::Test {
 protected:
  void SetUp() override {
    static const auto model = load_tiny(spec_);
    model_ = model;
    ASSERT_NE(model_, nullptr);
    prompt_ = random_tokens(3, 20, spec_.vocabulary);
    auto session = Session::create(model_, {});
    ASSERT_TRUE(session) << show(session.error());
    expected_ = must_decode(*session, prompt_, 12);
  }
  // The session answers as a new one does.
  void still_works(Session& session, const char* after) const {
    const Decoded found = must_decode(session, prompt_, 12);
    EXPECT_EQ(found.tokens, expected_.tokens) << after;
    EXPECT_TRUE(same_bytes(expected_.logits, found.logits)) << after;
  }
  static Result<Session> session_with(std::shared_ptr<const Model> model,
                                      draft::AnyDrafter drafter) {
    KEDGE_TRY(Session session, Session::create(std::move(model), {}));
    session.set_drafter(std::move(drafter));
    return session;
  }

  const TinySpec spec_ = tiny_spec(Element::f32, 6);
  std::shared_ptr<const Model> model_;
  std::vector<std::int32_t> prompt_;
  Decoded expected_;
};

}  // namespace kedge::tests
