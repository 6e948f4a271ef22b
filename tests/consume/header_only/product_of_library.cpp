#include "kedge/backend/cpu.hpp"
#include "kedge/kernel/cpu/matmul.hpp"
#include "kedge/kernel/cpu/rms_norm.hpp"
#define NAME product_of_library
#include "product.hpp"
