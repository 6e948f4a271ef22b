#define KEDGE_TEST_VULKAN 1
#include "attention_tree_test.cpp"
