// The Vulkan backend apart from its kernels: failures as values, memory, options that may not
// change a byte, lifetimes, and silence of the validation layer.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "kedge/kernel_vulkan_includes.inc"
#include "parity/vulkan_parity.hpp"
#include "parity/vulkan_products.hpp"

namespace kedge::cases {
namespace {

Vulkan::Options any() {
  Vulkan::Options options;
  options.allow_cpu = true;
  return options;
}

// The bytes of y for a product, or why there are none.
struct Output {
  std::string error;
  std::vector<std::byte> bytes;
};
Output multiply(const Vulkan& vulkan, const Case<op::Matmul>& item, std::int64_t rows) {
  Workspace w(vulkan_seed);
  const op::Matmul::Args a = item.make(w, rows);
  const Status status = vulkan.run<op::Matmul>(a, rows);
  if (!status) return {text(status.error()), {}};
  return {"", {a.y.data, a.y.data + a.y.bytes()}};
}

TEST(VulkanErrors, MissingLoader) {
  Vulkan::Options options;
  options.loader = "libno_such_vulkan.so.1";
  const auto vulkan = Vulkan::create(options);
  ASSERT_FALSE(vulkan);
  EXPECT_EQ(vulkan.error().code, Code::not_found);
  EXPECT_STREQ(vulkan.error().place, "libno_such_vulkan.so.1");
  EXPECT_FALSE(Vulkan::devices(options));
}

TEST(VulkanErrors, LibraryThatIsNoLoader) {
  Vulkan::Options options;
  options.loader = "libm.so.6";
  const auto vulkan = Vulkan::create(options);
  ASSERT_FALSE(vulkan);
  EXPECT_EQ(vulkan.error().code, Code::not_found);
}

TEST(VulkanErrors, DeviceThatIsNotThere) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  Vulkan::Options options = any();
  options.index = 99;
  auto found = Vulkan::create(options);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::not_found);
  options = any();
  options.name = "no such device";
  found = Vulkan::create(options);
  ASSERT_FALSE(found);
  EXPECT_NE(std::strstr(found.error().reason, "no such device"), nullptr);
}

TEST(VulkanErrors, SoftwareDeviceMustBeAskedFor) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  if (vulkan.info().type != vulkan::DeviceType::cpu) GTEST_SKIP() << "the device is a real one";
  Vulkan::Options options;
  options.index = vulkan.info().index;
  const auto found = Vulkan::create(options);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::not_found);
  EXPECT_NE(std::strstr(found.error().reason, "allow_cpu"), nullptr);
}

TEST(VulkanErrors, WhatKernelsRefuse) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  Workspace w(vulkan_seed);
  op::RmsNorm::Args norm{w.random(1, 1, 2, 32), w.random(2, 1, 32), w.make(Element::q8_act, 2, 32)};
  Status status = vulkan.run<op::RmsNorm>(norm, 2);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::unsupported);
  EXPECT_NE(std::strstr(status.error().reason, "q8_act"), nullptr);

  norm.y = w.make(Element::f32, 2, 32);
  EXPECT_EQ(vulkan.run<op::RmsNorm>(norm, 3).error().code, Code::invalid_argument);
  EXPECT_EQ(vulkan.run<op::RmsNorm>(norm, 0).error().code, Code::invalid_argument);
  norm.y.data = norm.x.data + 4;
  status = vulkan.run<op::RmsNorm>(norm, 2);
  ASSERT_FALSE(status);
  EXPECT_NE(std::strstr(status.error().reason, "overlap"), nullptr);

  op::Matmul::Args product{
      w.make(Element::q8_act, 1, 32), w.make(Element::q4_0, 4, 32), {}, w.make(Element::f32, 1, 4)};
  status = vulkan.run<op::Matmul>(product, 1);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::unsupported);
  EXPECT_NE(std::strstr(status.error().reason, "q8_act"), nullptr);
}

// A kernel with more loop iterations than a driver performs must not run there.
TEST(VulkanErrors, LoopsThatADriverWouldCut) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  const auto item = product(Element::f32, 1, 600000);
  const Output y = multiply(vulkan, item, 16);
  if (vulkan.limits().max_loop == 0xFFFFFFFFu) EXPECT_EQ(y.error, "");
  else EXPECT_NE(y.error.find("loop iterations"), std::string::npos) << y.error;
}

TEST(VulkanDevices, AreListed) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  const auto devices = Vulkan::devices({});
  ASSERT_TRUE(devices) << text(devices.error());
  ASSERT_GT(devices->size(), static_cast<std::size_t>(vulkan.info().index));
  const auto& info = (*devices)[static_cast<std::size_t>(vulkan.info().index)];
  EXPECT_STREQ(info.name, vulkan.info().name);
  EXPECT_STREQ(info.missing, "");
  EXPECT_GT(info.local_bytes, 0u);
}

TEST(VulkanBuffer, RoundTrips) {
  for (const bool direct : {true, false}) {
    Vulkan::Options options = any();
    options.direct_memory = direct;
    KEDGE_OPEN_VULKAN(vulkan, options);
    const std::size_t size = (std::size_t{40} << 20) + 12;  // three pieces of the staging buffer
    std::vector<std::uint32_t> sent(size / 4), received(size / 4);
    for (std::size_t i = 0; i < sent.size(); ++i)
      sent[i] = static_cast<std::uint32_t>(i * 2654435761u);
    auto buffer = vulkan.buffer(size + 8, "test");
    ASSERT_TRUE(buffer) << text(buffer.error());
    EXPECT_EQ(buffer->size(), size + 8);
    ASSERT_TRUE(buffer->upload(sent.data(), size, 8));
    ASSERT_TRUE(buffer->readback(received.data(), size, 8));
    EXPECT_EQ(sent, received);
    EXPECT_EQ(buffer->upload(sent.data(), size, 12).error().code, Code::invalid_argument);
    EXPECT_EQ(buffer->readback(received.data(), 1, size + 8).error().code, Code::invalid_argument);
    EXPECT_EQ(buffer->readback(received.data(), 4, ~0ull).error().code, Code::invalid_argument);
  }
}

TEST(VulkanBuffer, TooLargeIsAnError) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  const auto buffer = vulkan.buffer(std::uint64_t{1} << 60, "an exabyte");
  ASSERT_FALSE(buffer);
  EXPECT_EQ(buffer.error().code, Code::out_of_memory);
  EXPECT_STREQ(buffer.error().place, "an exabyte");
}

TEST(VulkanBuffer, OutlivesItsVulkan) {
  vulkan::Buffer buffer;
  {
    KEDGE_OPEN_VULKAN(vulkan, any());
    auto made = vulkan.buffer(64, "test");
    ASSERT_TRUE(made);
    buffer = *std::move(made);
  }
  const int sent = 7;
  int received = 0;
  ASSERT_TRUE(buffer.upload(&sent, sizeof sent));
  ASSERT_TRUE(buffer.readback(&received, sizeof received));
  EXPECT_EQ(received, 7);
}

// Nothing here may change a byte: the reduction's form, the way of memory, blocks of the weight.
TEST(VulkanOptions, DoNotChangeBytes) {
  KEDGE_OPEN_VULKAN(plain, any());
  Vulkan::Options shared = any(), staged = any(), split = any();
  shared.subgroups = false;
  staged.direct_memory = false;
  // 500 rows of 612 bytes: several blocks, the last one shorter; x and y just fit.
  split.max_binding_bytes = 90000;
  const auto item = product(Element::q8_0, 500, 576, Add::residual);
  const Output expected = multiply(plain, item, 16);
  ASSERT_EQ(expected.error, "");
  for (const Vulkan::Options& options : {shared, staged, split}) {
    KEDGE_OPEN_VULKAN(vulkan, options);
    const Output found = multiply(vulkan, item, 16);
    EXPECT_EQ(found.error, "");
    EXPECT_TRUE(found.bytes == expected.bytes);
  }
  Vulkan::Options tiny = any();
  tiny.max_binding_bytes = 600;
  KEDGE_OPEN_VULKAN(vulkan, tiny);
  EXPECT_NE(multiply(vulkan, item, 16).error.find("binds"), std::string::npos);
}

TEST(VulkanPipelines, AreKept) {
  KEDGE_OPEN_VULKAN(vulkan, any());
  const auto item = product(Element::q8_0, 3, 64);
  for (int again = 0; again < 2; ++again)
    for (const std::int64_t rows : {1, 2, 3, 4, 5, 8, 9, 16, 40})
      EXPECT_EQ(multiply(vulkan, item, rows).error, "");
  EXPECT_EQ(vulkan.pipelines(), 5u);  // tiles of 1, 2, 4, 8 and 16 rows
}

TEST(VulkanLifetime, ComesAndGoes) {
  const auto item = product(Element::q8_0, 3, 64);
  for (int i = 0; i < 12; ++i) {
    KEDGE_OPEN_VULKAN(vulkan, any());
    EXPECT_EQ(multiply(vulkan, item, 1 + i % 3).error, "");
  }
}

TEST(VulkanLifetime, TwoDevicesAndTwoThreads) {
  KEDGE_OPEN_VULKAN(one, any());
  KEDGE_OPEN_VULKAN(two, any());
  const auto item = product(Element::q8_0, 33, 128);
  const Output expected = multiply(one, item, 4);
  ASSERT_EQ(expected.error, "");
  Output found[2];
  const auto work = [&](int i) {
    for (int again = 0; again < 10; ++again) found[i] = multiply(again % 2 ? one : two, item, 4);
  };
  std::thread first(work, 0), second(work, 1);
  first.join();
  second.join();
  for (const Output& output : found) EXPECT_TRUE(output.bytes == expected.bytes) << output.error;
}

TEST(VulkanValidation, IsSilent) {
  std::string messages;
  Vulkan::Options options = any();
  options.validation = [](void* context, const char* message) noexcept {
    *static_cast<std::string*>(context) += std::string(message) + "\n";
  };
  options.validation_context = &messages;
  {
    for (const bool plain : {true, false}) {
      options.direct_memory = options.subgroups = plain;
      options.max_binding_bytes = plain ? 0 : 90000;
      KEDGE_OPEN_VULKAN(vulkan, options);
      EXPECT_EQ(multiply(vulkan, product(Element::q8_0, 500, 576, Add::in_place), 16).error, "");
      EXPECT_EQ(multiply(vulkan, product(Element::f32, 5, 33), 3).error, "");
      Workspace w(vulkan_seed);
      EXPECT_TRUE(vulkan.run<op::RmsNorm>(
          {w.random(1, 1, 5, 100), w.random(2, 1, 100), w.make(Element::f32, 5, 100)}, 5));
      EXPECT_TRUE(vulkan.run<op::SiluMul>(
          {w.random(1, 1, 5, 100), w.random(2, 1, 5, 100), w.make(Element::f32, 5, 100)}, 5));
    }
  }
  EXPECT_EQ(messages, "");
}

}  // namespace
}  // namespace kedge::cases
