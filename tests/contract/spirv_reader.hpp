// What a SPIR-V module says about its interface, read from the words alone (SPIR-V specification,
// sections 2.3 and 3). Only the instructions that the contract between host and shader rests on.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace kedge::spirv {

struct Interface {
  std::string error;  // why the words are no module; empty: they are
  struct Member {
    std::uint32_t offset = 0, bytes = 0;
    std::string name;
  };
  std::vector<Member> push;                                    // of the push-constant block
  std::set<std::pair<std::uint32_t, std::uint32_t>> bindings;  // (set, binding)
  std::set<std::uint32_t> specialization_ids;
  std::int64_t local_size_id = -1;  // the id that sets the workgroup's width; -1: it is fixed
  std::uint32_t local_size[3] = {0, 0, 0};
  std::set<std::uint32_t> capabilities;
  int sums = 0, contractible_sums = 0;  // floating-point + - *, and those a driver may fuse
  bool entry_is_main = false;
};

class Reader {
 public:
  static Interface read(std::span<const std::uint32_t> words) {
    Reader reader;
    reader.parse(words);
    if (reader.result_.error.empty()) reader.resolve();
    return reader.result_;
  }

 private:
  enum Op : std::uint32_t {
    op_member_name = 6,
    op_entry_point = 15,
    op_execution_mode = 16,
    op_capability = 17,
    op_type_int = 21,
    op_type_float = 22,
    op_type_struct = 30,
    op_type_pointer = 32,
    op_constant = 43,
    op_spec_constant = 50,
    op_spec_constant_composite = 51,
    op_variable = 59,
    op_decorate = 71,
    op_member_decorate = 72,
    op_f_add = 129,
    op_f_sub = 131,
    op_f_mul = 133
  };
  enum Decoration : std::uint32_t {
    spec_id = 1,
    builtin = 11,
    no_contraction = 42,
    binding = 33,
    descriptor_set = 34,
    offset = 35
  };
  static constexpr std::uint32_t builtin_workgroup_size = 25, storage_push_constant = 9;

  void parse(std::span<const std::uint32_t> words) {
    if (words.size() < 5 || words[0] != 0x07230203u) {
      result_.error = "no SPIR-V header";
      return;
    }
    for (std::size_t at = 5; at < words.size();) {
      const std::uint32_t length = words[at] >> 16;
      if (length == 0 || at + length > words.size()) {
        result_.error = "an instruction runs past the end";
        return;
      }
      instruction(words[at] & 0xFFFFu, words.subspan(at + 1, length - 1));
      at += length;
    }
  }

  static std::string text(std::span<const std::uint32_t> words) {
    std::string s(words.size() * 4, '\0');
    std::memcpy(s.data(), words.data(), s.size());
    return s.c_str();
  }

  void instruction(std::uint32_t op, std::span<const std::uint32_t> w) {
    switch (op) {
      case op_capability:
        result_.capabilities.insert(w[0]);
        break;
      case op_entry_point:
        result_.entry_is_main = text(w.subspan(2)) == "main";
        break;
      case op_execution_mode:
        if (w[1] == 17)  // LocalSize
          for (int i = 0; i < 3; ++i) result_.local_size[i] = w[2 + static_cast<std::size_t>(i)];
        break;
      case op_member_name:
        names_[{w[0], w[1]}] = text(w.subspan(2));
        break;
      case op_decorate:
        decorations_[{w[0], w[1]}] = w.size() > 2 ? w[2] : 0;
        break;
      case op_member_decorate:
        if (w[2] == offset) offsets_[{w[0], w[1]}] = w[3];
        break;
      case op_type_int:
      case op_type_float:
        bytes_[w[0]] = w[1] / 8;
        break;
      case op_type_struct:
        structs_[w[0]].assign(w.begin() + 1, w.end());
        break;
      case op_type_pointer:
        pointers_[w[0]] = w[2];
        break;
      case op_variable:
        variables_.push_back({w[0], w[1], w[2]});
        break;
      case op_spec_constant_composite:
        composites_[w[1]].assign(w.begin() + 2, w.end());
        break;
      case op_f_add:
      case op_f_sub:
      case op_f_mul:
        sums_.push_back(w[1]);
        break;
      default:
        break;
    }
  }

  void resolve() {
    for (const auto& [key, value] : decorations_)
      if (key.second == spec_id) result_.specialization_ids.insert(value);
      else if (key.second == builtin && value == builtin_workgroup_size) {
        const auto parts = composites_.find(key.first);
        if (parts == composites_.end()) continue;
        const auto id = decorations_.find({parts->second.at(0), spec_id});
        if (id != decorations_.end()) result_.local_size_id = id->second;
      }
    for (const Variable& v : variables_) {
      if (v.storage == storage_push_constant) {
        const std::uint32_t type = pointers_.at(v.type);
        const auto& members = structs_.at(type);
        for (std::uint32_t i = 0; i < members.size(); ++i)
          result_.push.push_back({offsets_.at({type, i}), bytes_[members[i]], names_[{type, i}]});
      } else if (const auto slot = decorations_.find({v.id, binding}); slot != decorations_.end()) {
        const auto set = decorations_.find({v.id, descriptor_set});
        result_.bindings.insert({set == decorations_.end() ? ~0u : set->second, slot->second});
      }
    }
    result_.sums = static_cast<int>(sums_.size());
    for (const std::uint32_t id : sums_)
      result_.contractible_sums += !decorations_.contains({id, no_contraction});
  }

  struct Variable {
    std::uint32_t type, id, storage;
  };
  using Pair = std::pair<std::uint32_t, std::uint32_t>;
  Interface result_;
  std::map<Pair, std::uint32_t> decorations_, offsets_;
  std::map<Pair, std::string> names_;
  std::map<std::uint32_t, std::uint32_t> bytes_, pointers_;
  std::map<std::uint32_t, std::vector<std::uint32_t>> structs_, composites_;
  std::vector<Variable> variables_;
  std::vector<std::uint32_t> sums_;
};

}  // namespace kedge::spirv
