// A unit of matmul: its kernels for blocks of 32.
#include "kedge/kernel/cpu/matmul/q4_0-inl.hpp"
#include "kedge/kernel/cpu/matmul/q4_1-inl.hpp"
#include "kedge/kernel/cpu/matmul/q5_0-inl.hpp"
#include "kedge/kernel/cpu/matmul/q5_1-inl.hpp"
#include "kedge/kernel/cpu/matmul/q8_0-inl.hpp"
