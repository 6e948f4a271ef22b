#define KEDGE_TEST_VULKAN 1
#include "conv_exactness_test.cpp"
