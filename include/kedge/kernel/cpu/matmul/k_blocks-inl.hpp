// A unit of matmul: its kernels for blocks of 256.
#include "kedge/kernel/cpu/matmul/q4_k-inl.hpp"
#include "kedge/kernel/cpu/matmul/q5_k-inl.hpp"
#include "kedge/kernel/cpu/matmul/q6_k-inl.hpp"
