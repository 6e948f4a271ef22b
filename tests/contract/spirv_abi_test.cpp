// The compiled modules against the C++ side of abi/*.h: a field that moved, a binding or constant
// that only one side knows, would otherwise be a wrong result on some device.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "contract/spirv_reader.hpp"
#include "kedge/abi_includes.inc"
#include "kedge/backend/vulkan.hpp"

namespace kedge {
namespace {

struct Contract {
  std::vector<abi::Member> push;
  std::size_t push_bytes = 0;
  std::set<std::uint32_t> constants;
  std::uint32_t bindings = 0;
};

template <class Abi>
Contract contract_of() {
  return {{std::begin(Abi::members), std::end(Abi::members)},
          sizeof(typename Abi::Push),
          {std::begin(Abi::constants), std::end(Abi::constants)},
          Abi::bindings};
}

// Every disagreement, in words. Empty: host and shader agree.
std::vector<std::string> compare(const Contract& host, std::span<const std::uint32_t> words) {
  std::vector<std::string> wrong;
  const spirv::Interface shader = spirv::Reader::read(words);
  if (!shader.error.empty()) return {shader.error};
  if (!shader.entry_is_main) wrong.push_back("entry point is not main");
  if (shader.push.size() != host.push.size())
    wrong.push_back("push constants: " + std::to_string(shader.push.size()) +
                    " members in the shader, " + std::to_string(host.push.size()) + " in C++");
  for (std::size_t i = 0; i < std::min(shader.push.size(), host.push.size()); ++i) {
    const auto& s = shader.push[i];
    const auto& h = host.push[i];
    if (s.offset != h.offset || s.bytes != h.bytes || s.name != h.name)
      wrong.push_back("push constant " + s.name + ": offset " + std::to_string(s.offset) +
                      ", C++ " + h.name + " at " + std::to_string(h.offset));
  }
  if (!shader.push.empty() &&
      shader.push.back().offset + shader.push.back().bytes != host.push_bytes)
    wrong.push_back("push constants: sizes differ");
  // A constant that a variant does not read may be missing from it, never the other way round.
  for (const std::uint32_t id : shader.specialization_ids)
    if (!host.constants.contains(id))
      wrong.push_back("specialization constant " + std::to_string(id) + " is not in C++");
  for (const std::uint32_t id : host.constants)
    if (!shader.specialization_ids.contains(id))
      wrong.push_back("specialization constant " + std::to_string(id) + " is not in the shader");
  if (shader.local_size_id != 0) wrong.push_back("constant 0 is not the workgroup's width");
  if (shader.local_size[1] != 1 || shader.local_size[2] != 1)
    wrong.push_back("the workgroup is not one-dimensional");
  std::set<std::pair<std::uint32_t, std::uint32_t>> bindings;
  for (std::uint32_t i = 0; i < host.bindings; ++i) bindings.insert({0u, i});
  if (shader.bindings != bindings)
    wrong.push_back("bindings: " + std::to_string(shader.bindings.size()) +
                    " in the shader are not 0.." + std::to_string(host.bindings) + " of set 0");
  if (shader.contractible_sums != 0)
    wrong.push_back(std::to_string(shader.contractible_sums) + " of " +
                    std::to_string(shader.sums) +
                    " sums and products are not `precise`: a driver may fuse them");
  // A module may need no more than Device checks for: Shader, StorageBuffer16BitAccess,
  // StorageBuffer8BitAccess, and the subgroup operations that Limits::subgroup_shuffle stands for.
  for (const std::uint32_t capability : shader.capabilities)
    if (!std::set<std::uint32_t>{1, 4433, 4448, 61, 65}.contains(capability))
      wrong.push_back("capability " + std::to_string(capability) + " is not checked for");
  return wrong;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

const vulkan::Shader& find(const std::string& name) {
  for (const vulkan::Shader* shader : vulkan::shaders())
    if (name == shader->name) return *shader;
  ADD_FAILURE() << "no module " << name;
  return *vulkan::shaders().front();
}

std::vector<std::uint32_t> copy(const vulkan::Shader& shader) {
  return {shader.words, shader.words + shader.count};
}

// Calls `change` with each instruction until it says that it has done its work.
template <class Change>
bool patch(std::vector<std::uint32_t>& words, Change change) {
  for (std::size_t at = 5; at < words.size(); at += words[at] >> 16)
    if (change(words[at] & 0xFFFFu, words.data() + at + 1)) return true;
  return false;
}

TEST(SpirvAbi, EveryModuleAgreesWithItsHeader) {
  std::size_t checked = 0;
#define KEDGE_SHADER(module, Operator)                                                          \
  EXPECT_EQ("", joined(compare(contract_of<abi::Operator>(), copy(find(#module))))) << #module; \
  ++checked;
#include "kedge/shaders.inc"
#undef KEDGE_SHADER
  EXPECT_EQ(checked, vulkan::shaders().size());
  EXPECT_GT(checked, 0u);
}

// What spirv-val (KEDGE_SPIRV_VAL) says of a module; nothing: it is valid.
std::string validated(std::span<const std::uint32_t> words) {
  const std::string path = ::testing::TempDir() + "kedge_" + std::to_string(getpid()) + ".spv";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(words.data()),
             static_cast<std::streamsize>(words.size_bytes()));
  const std::string command =
      std::string(std::getenv("KEDGE_SPIRV_VAL")) + " --target-env vulkan1.2 " + path + " 2>&1";
  std::string said;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  char line[512];
  while (std::fgets(line, sizeof line, pipe) != nullptr) said += line;
  if (pclose(pipe) != 0 && said.empty()) said = command + " failed";
  std::remove(path.c_str());
  return said;
}

TEST(SpirvAbi, EveryModuleIsValid) {
  if (std::getenv("KEDGE_SPIRV_VAL") == nullptr) GTEST_SKIP() << "KEDGE_SPIRV_VAL names no program";
  for (const vulkan::Shader* shader : vulkan::shaders())
    EXPECT_EQ("", validated({shader->words, shader->count})) << shader->name;
  // And one that is not: an entry point that names no function.
  std::vector<std::uint32_t> words = copy(find("add"));
  ASSERT_TRUE(patch(words, [](std::uint32_t op, std::uint32_t* w) {
    if (op != 15) return false;
    ++w[1];
    return true;
  }));
  EXPECT_NE("", validated(words));
}

// Modules with one defect each: the comparison must see it.
class SpirvAbiDefect : public ::testing::Test {
 protected:
  const Contract host = contract_of<abi::RmsNorm>();
  std::vector<std::uint32_t> words = copy(find("rms_norm_shared"));
  void expect_seen(const std::string& what) {
    const std::string found = joined(compare(host, words));
    EXPECT_NE(found.find(what), std::string::npos) << "found: " << found;
  }
};

TEST_F(SpirvAbiDefect, MovedPushConstant) {
  ASSERT_TRUE(patch(words, [](std::uint32_t op, std::uint32_t* w) {
    if (op != 72 || w[2] != 35 || w[3] != 8) return false;
    w[3] = 16;
    return true;
  }));
  expect_seen("push constant eps: offset 16");
}

TEST_F(SpirvAbiDefect, MovedBinding) {
  ASSERT_TRUE(patch(words, [](std::uint32_t op, std::uint32_t* w) {
    if (op != 71 || w[1] != 33) return false;
    w[2] = 7;
    return true;
  }));
  expect_seen("bindings");
}

TEST_F(SpirvAbiDefect, OtherDescriptorSet) {
  ASSERT_TRUE(patch(words, [](std::uint32_t op, std::uint32_t* w) {
    if (op != 71 || w[1] != 34) return false;
    w[2] = 1;
    return true;
  }));
  expect_seen("bindings");
}

TEST_F(SpirvAbiDefect, OtherSpecializationId) {
  ASSERT_TRUE(patch(words, [](std::uint32_t op, std::uint32_t* w) {
    if (op != 71 || w[1] != 1) return false;
    w[2] = 5;
    return true;
  }));
  expect_seen("specialization constant 5 is not in C++");
  expect_seen("constant 0 is not the workgroup's width");
}

TEST_F(SpirvAbiDefect, FusableProduct) {
  ASSERT_TRUE(patch(words, [](std::uint32_t op, std::uint32_t* w) {
    if (op != 71 || w[1] != 42) return false;
    w[1] = 19;  // Restrict, which means nothing there
    return true;
  }));
  expect_seen("not `precise`");
}

TEST_F(SpirvAbiDefect, CutModule) {
  words.back() += 1u << 16;  // the last instruction has one word
  expect_seen("past the end");
  words[0] = 0;
  expect_seen("no SPIR-V header");
}

TEST(SpirvAbiDefects, ModuleOfAnotherOperator) {
  EXPECT_NE("", joined(compare(contract_of<abi::RmsNorm>(), copy(find("silu_mul")))));
}

}  // namespace
}  // namespace kedge
