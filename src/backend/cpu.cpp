#include "kedge/backend/cpu-inl.hpp"
