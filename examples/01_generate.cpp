// Generates with a model, drafting by prompt lookup: one line per round. The README shows it.
#include <cstdio>

#include "kedge/kedge.hpp"
#include "kedge/text/tokenizer.hpp"
#include "must.hpp"  // the value, or the end of the program with the error's text

int main(int, char** argv) {
  auto file = must(kedge::io::Gguf::open(argv[1]));
  auto words = must(kedge::text::Tokenizer::from_gguf(file));
  auto session = must(kedge::Session::create(must(kedge::Model::load(file, {})), {}));
  session.set_drafter(must(kedge::draft::AnyDrafter::make(must(kedge::draft::Lookup::create({})))));
  must(session.begin(must(words.encode("A fox, a dog, a fox, a dog, a fox,"))));
  for (int i = 0; i < 8; ++i) std::puts(must(words.decode(must(session.round(32)).tokens)).c_str());
}
