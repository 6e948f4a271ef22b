// usage: 05_vulkan MODEL
// Generates on a Vulkan device, drafting by prompt lookup. With kedge::Cpu for kedge::Vulkan, the
// one word, it is the program that computes on the processor.
#include <cstdio>

#include "kedge/backend/vulkan.hpp"
#include "kedge/kedge.hpp"
#include "must.hpp"

using Device = kedge::Vulkan;

int main(int, char** argv) {
  Device::Options options;
  // A software device will do here; programs that want speed leave this out.
  if constexpr (requires { options.allow_cpu; }) options.allow_cpu = true;
  const auto device = must(Device::create(options));

  kedge::Model::Options where;
  where.accelerator = device.accelerator();
  auto model = must(kedge::Model::load(argv[1], where));
  kedge::Session::Options room;
  room.context = 120;
  auto session = must(kedge::Session::create(model, room));
  session.set_drafter(must(kedge::draft::AnyDrafter::make(must(kedge::draft::Lookup::create({})))));

  const std::int32_t prompt[] = {1, 2, 3, 1, 2, 3, 1, 2};
  std::printf("%d", must(session.begin(prompt)));
  for (int i = 0; i < 8; ++i)
    for (const std::int32_t token : must(session.round(32)).tokens) std::printf(" %d", token);
  std::printf("\n");
}
