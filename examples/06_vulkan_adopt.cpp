// usage: 06_vulkan_adopt MODEL
// A program with its own Vulkan instance, device and queue, which Kedge then uses too: what must be
// turned on, the lock of the queue, and a text generated beside the program's own submissions.
#include <dlfcn.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "kedge/backend/vulkan.hpp"
#include "kedge/kedge.hpp"
#include "must.hpp"

namespace {

PFN_vkGetInstanceProcAddr get = nullptr;

template <class Function>
Function load(VkInstance instance, const char* name) {
  return reinterpret_cast<Function>(get(instance, name));
}
#define LOAD(function) const auto function = load<PFN_##function>(instance, #function)

void must_vk(VkResult result, const char* what) {
  if (result == VK_SUCCESS) return;
  std::fprintf(stderr, "%s: %d\n", what, static_cast<int>(result));
  std::exit(1);
}

}  // namespace

int main(int, char** argv) {
  // The program's own instance and device. A driver need not be there: then this says so and ends.
  void* const library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::puts("no Vulkan loader on this machine"), 0;
  get = reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr"));
  VkApplicationInfo application{};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.apiVersion = VK_API_VERSION_1_2;
  VkInstanceCreateInfo instance_info{};
  instance_info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  instance_info.pApplicationInfo = &application;
  VkInstance instance = VK_NULL_HANDLE;
  if (load<PFN_vkCreateInstance>(nullptr, "vkCreateInstance")(&instance_info, nullptr, &instance) !=
      VK_SUCCESS)
    return std::puts("no Vulkan driver on this machine"), 0;
  LOAD(vkEnumeratePhysicalDevices);
  LOAD(vkCreateDevice);
  LOAD(vkGetDeviceQueue);
  LOAD(vkQueueSubmit);
  LOAD(vkDestroyDevice);
  LOAD(vkDestroyInstance);
  LOAD(vkQueueWaitIdle);
  std::uint32_t count = 1;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  vkEnumeratePhysicalDevices(instance, &count, &physical);
  if (count == 0) return std::puts("no Vulkan device on this machine"), 0;

  // What Kedge needs of a device, before there is one.
  const auto entry = reinterpret_cast<void (*)()>(get);
  const auto needs = must(kedge::Vulkan::requirements(entry, instance, physical));
  if (needs.missing[0] != '\0') return std::printf("it lacks %s\n", needs.missing), 0;
  VkPhysicalDeviceVulkan12Features features_12{};
  features_12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  VkPhysicalDeviceVulkan11Features features_11{};
  features_11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  features_11.pNext = &features_12;
  must(kedge::Vulkan::enable_features(&features_11));
  const float priority = 1;
  VkDeviceQueueCreateInfo queue_info{};
  queue_info.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue_info.queueCount = 1;  // of family 0, which computes on the devices that this example is for
  queue_info.pQueuePriorities = &priority;
  VkDeviceCreateInfo device_info{};
  device_info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  device_info.pNext = &features_11;
  device_info.queueCreateInfoCount = 1;
  device_info.pQueueCreateInfos = &queue_info;
  VkDevice device = VK_NULL_HANDLE;
  must_vk(vkCreateDevice(physical, &device_info, nullptr, &device), "vkCreateDevice");
  VkQueue queue = VK_NULL_HANDLE;
  vkGetDeviceQueue(device, 0, 0, &queue);

  std::mutex queue_lock;  // two threads use the queue
  {
    kedge::Vulkan::Host host;
    host.get_instance_proc_addr = entry;
    host.instance = instance;
    host.physical_device = physical;
    host.device = device;
    host.queue = queue;
    host.enabled_features = &features_11;
    host.lock_queue = [](void* mutex) noexcept { static_cast<std::mutex*>(mutex)->lock(); };
    host.unlock_queue = [](void* mutex) noexcept { static_cast<std::mutex*>(mutex)->unlock(); };
    host.context = &queue_lock;
    kedge::Vulkan::Options options;
    options.submission_ms = 4;  // leaves room for the frames of a program that draws
    const auto vulkan = must(kedge::Vulkan::adopt(host, options));

    std::atomic<bool> done{false};
    long frames = 0;
    std::thread frame_loop([&] {
      for (; !done; ++frames) {
        const std::lock_guard lock(queue_lock);
        must_vk(vkQueueSubmit(queue, 0, nullptr, VK_NULL_HANDLE), "vkQueueSubmit");
      }
    });
    kedge::Model::Options where;
    where.accelerator = vulkan.accelerator();
    kedge::Session::Options room;
    room.context = 100;
    auto session = must(kedge::Session::create(must(kedge::Model::load(argv[1], where)), room));
    const std::int32_t prompt[] = {1, 2, 3};
    std::printf("%d", must(session.begin(prompt)));
    for (int i = 0; i < 16; ++i)
      for (const std::int32_t token : must(session.round(1)).tokens) std::printf(" %d", token);
    done = true;
    frame_loop.join();
    std::printf("\non %s, beside %ld submissions of the program\n", vulkan.info().name, frames);
  }
  vkQueueWaitIdle(queue);
  vkDestroyDevice(device, nullptr);
  vkDestroyInstance(instance, nullptr);
}
