#include "common/prompts.hpp"

#include <iterator>
#include <random>

namespace kedge::tools {

namespace {

constexpr const char* code_edit =
    R"(Rewrite this code with the variable `total` renamed to `balance`. Print only the code.

```python
class Account:
    def __init__(self, owner, total=0):
        self.owner = owner
        self.total = total
        self.history = []

    def deposit(self, amount):
        if amount <= 0:
            raise ValueError("amount must be positive")
        self.total = self.total + amount
        self.history.append(("deposit", amount, self.total))
        return self.total

    def withdraw(self, amount):
        if amount <= 0:
            raise ValueError("amount must be positive")
        if amount > self.total:
            raise ValueError("not enough money")
        self.total = self.total - amount
        self.history.append(("withdraw", amount, self.total))
        return self.total

    def transfer(self, other, amount):
        self.withdraw(amount)
        other.deposit(amount)
        self.history.append(("transfer", amount, self.total))

    def report(self):
        print("owner:", self.owner)
        print("total:", self.total)
        for kind, amount, total in self.history:
            print(kind, amount, total)


def sum_of(accounts):
    total = 0
    for account in accounts:
        total = total + account.total
    return total
```)";

constexpr const char* chat = "Explain in a few sentences how a ship is pulled off a sandbank.";

constexpr const char* prose =
    "Write a dream-like story in which no phrase ever comes back. Begin with: Violet thunder "
    "unfolded beneath nine paper moons,";

constexpr const char* further[] = {
    "List the first ten prime numbers, one per line, each with its square.",
    "Write a short poem about rain on a tin roof.",
    "Translate to French: the boat is small, the sea is large, the boat is small again.",
    "Write a JSON array of five people with the keys name, age and city.",
    "Summarise in one sentence: The anchor was carried ahead by boat. The crew hauled on the "
    "cable. "
    "The ship moved up to the anchor. Then the anchor was carried ahead again.",
    "Count from one to twenty in words.",
    "Write a C function that returns the largest of three integers.",
    "What is the difference between weather and climate?",
    "Repeat this line five times: round and round the rugged rock.",
    "Write a recipe for pancakes with a list of ingredients and numbered steps.",
    "Explain to a child why the sky is blue.",
    "Write a Markdown table of the planets with their order from the sun.",
    "Fix the spelling: Teh quik brwon fox jumsp over teh lazi dog.",
    "Write a letter to a neighbour who borrowed a ladder and has not returned it.",
    "Name three rivers in Europe and one city on each.",
    "Write an SQL query that counts orders per customer, then the same query with a limit of ten.",
    "Describe how bread is made, from grain to loaf.",
};

}  // namespace

std::vector<std::int32_t> synthetic_tokens(std::int64_t vocabulary, std::int64_t count,
                                           std::uint64_t seed) {
  // No standard distribution: their numbers differ between libraries.
  std::mt19937_64 rng(seed);
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<std::int32_t>(rng() % static_cast<std::uint64_t>(vocabulary)));
  return tokens;
}

std::vector<Prompt> built_in_prompts(const ModelFile& file, std::int64_t count) {
  std::vector<Prompt> list;
  if (file.tokenizer) {
    const auto encode = [&](const char* text) {
      return file.chat ? file.encode_as_chat(text) : file.encode(text);
    };
    list.push_back({"code edit", encode(code_edit)});
    list.push_back({"chat", encode(chat)});
    list.push_back({"prose", encode(prose)});
    for (std::size_t i = 0; i < std::size(further); ++i)
      list.push_back({"text " + std::to_string(i + 4), encode(further[i])});
  }
  for (auto i = static_cast<std::int64_t>(list.size()); i < count; ++i) {
    const auto seed = static_cast<std::uint64_t>(i + 1);
    list.push_back({"synthetic " + std::to_string(i + 1),
                    synthetic_tokens(file.model->config().vocabulary, 40 + 7 * (i % 5), seed)});
  }
  list.resize(static_cast<std::size_t>(count));
  return list;
}

}  // namespace kedge::tools
