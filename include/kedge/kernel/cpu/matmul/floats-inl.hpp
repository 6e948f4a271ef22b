// A unit of matmul: its kernels for float weights.
#include "kedge/kernel/cpu/matmul/bf16-inl.hpp"
#include "kedge/kernel/cpu/matmul/f16-inl.hpp"
#include "kedge/kernel/cpu/matmul/f32-inl.hpp"
