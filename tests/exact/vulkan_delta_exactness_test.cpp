#define KEDGE_TEST_VULKAN 1
#include "delta_exactness_test.cpp"
