#include "common/machine.hpp"

#include <charconv>
#include <fstream>

#include "common/failure.hpp"
#include "kedge/state/kv_page.hpp"
#if KEDGE_WITH_VULKAN
#include "kedge/backend/vulkan.hpp"
#endif

namespace kedge::tools {

void MachineOptions::add_threads(CLI::App& app) {
  app.add_option("--threads", threads, "Threads; 0: as many as processors")
      ->check(CLI::Range(0, 1024));
}

void MachineOptions::add_isa(CLI::App& app) {
  std::vector<std::string> names = {"best"};
  for (const cpu::Isa level : cpu::isas) names.emplace_back(to_string(level));
  app.add_option("--isa", isa, fmt::format("Instruction set: {}", fmt::join(names, ", ")))
      ->check(CLI::IsMember(names));
}

void MachineOptions::add_cache(CLI::App& app) {
  app.add_option("--cache", cache, fmt::format("Keys and values: {}", cache_elements))
      ->check(CLI::IsMember({"f32", "f16", "bf16", "q8_0"}));
}

void MachineOptions::add_state(CLI::App& app) {
  app.add_option("--state", state,
                 "How recurrent states are kept: auto, snapshots, replay or checkpoint")
      ->check(CLI::IsMember({"auto", "snapshots", "replay", "checkpoint"}));
}

RecurrentOptions MachineOptions::recurrent() const {
  using Choice = RecurrentOptions::Choice;
  RecurrentOptions options;
  for (const Choice c : {Choice::automatic, Choice::snapshots, Choice::replay, Choice::checkpoint})
    if (state == to_string(c)) options.choice = c;
  return options;
}

void MachineOptions::add_backend(CLI::App& app) {
  app.add_option("--backend", backend, "Where the model computes: cpu or vulkan")
      ->check(CLI::IsMember({"cpu", "vulkan"}));
  app.add_option("--device", device,
                 "Of vulkan: a part of the device's name, or its number; none: the fastest kind");
}

cpu::Isa MachineOptions::chosen_isa() const {
  if (isa == "best") return cpu::best_isa();
  cpu::Isa chosen = cpu::Isa::scalar;
  for (const cpu::Isa level : cpu::isas)
    if (isa == to_string(level)) chosen = level;
  if (!cpu::isa_available(chosen))
    fail_with(Code::unsupported, "--isa", "this processor or build has no {}; the best here is {}",
              isa, to_string(cpu::best_isa()));
  return chosen;
}

std::shared_ptr<Accelerator> MachineOptions::accelerator() const {
  if (backend == "cpu") return nullptr;
#if KEDGE_WITH_VULKAN
  if (opened_ == nullptr) {
    Vulkan::Options options;
    options.allow_cpu = true;
    const char* const end = device.data() + device.size();
    const bool number =
        !device.empty() && std::from_chars(device.data(), end, options.index).ptr == end;
    if (!number) options.index = -1;
    if (!number && !device.empty()) options.name = device.c_str();
    opened_ = must(Vulkan::create(options)).accelerator();
  }
  return opened_;
#else
  fail_with(Code::unsupported, "--backend", "this build has no Vulkan");
#endif
}

std::string MachineOptions::backend_text() const {
  return opened_ == nullptr ? backend : fmt::format("{} on {}", backend, opened_->name());
}

Element cache_element_named(const std::string& name) {
  for (unsigned i = 0; i < weight_formats; ++i)
    if (const auto element = static_cast<Element>(i);
        is_cache_element(element) && name == to_string(element))
      return element;
  bad_usage("cache", "expected {}, found \"{}\"", cache_elements, name);
}

std::unique_ptr<Executor> MachineOptions::executor() const {
  return must(make_default_executor(threads));
}

std::vector<cpu::Isa> available_isas() {
  std::vector<cpu::Isa> list;
  for (const cpu::Isa isa : cpu::isas)
    if (cpu::isa_available(isa)) list.push_back(isa);
  return list;
}

std::string machine_name() {
  std::string name = "unknown processor", line;
  for (std::ifstream file("/proc/cpuinfo"); std::getline(file, line);)
    if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos) {
      name = line.substr(line.find(": ") + 2);
      break;
    }
  const unsigned count = available_processors();
  return fmt::format("{}, {} processor{}", name, count, count == 1 ? "" : "s");
}

}  // namespace kedge::tools
