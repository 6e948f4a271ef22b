// One Vulkan device for all tests of a program: its pipelines are compiled once.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "kedge/backend/vulkan.hpp"

namespace kedge::tests {

// Null without a loader or a device, and then `why`; one that fails is a failure.
inline const std::shared_ptr<Accelerator>& vulkan_device(std::string* why = nullptr) {
  static std::string reason;
  static const std::shared_ptr<Accelerator> opened = [] {
    Vulkan::Options options;
    options.allow_cpu = true;
    auto vulkan = Vulkan::create(options);
    if (vulkan) return vulkan->accelerator();
    const Error& error = vulkan.error();
    reason = std::string(to_string(error.code)) + ": " + error.place + ": " + error.reason;
    if (error.code != Code::not_found) ADD_FAILURE() << reason;
    return std::shared_ptr<Accelerator>();
  }();
  if (why != nullptr) *why = reason;
  return opened;
}

#define KEDGE_NEED_VULKAN_DEVICE() \
  if (std::string why; ::kedge::tests::vulkan_device(&why) == nullptr) GTEST_SKIP() << why

}  // namespace kedge::tests
