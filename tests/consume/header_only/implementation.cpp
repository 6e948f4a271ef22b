#define KEDGE_IMPLEMENTATION
#include "kedge/header_only.hpp"
