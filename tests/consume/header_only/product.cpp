#include "kedge/header_only.hpp"
#define NAME product_of_headers
#include "product.hpp"
