#include "kedge/core/executor_pool-inl.hpp"
