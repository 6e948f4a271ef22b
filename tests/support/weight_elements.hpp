// Every weight format, for tests and cases that run over all of them.
#pragma once

#include "kedge/core/element.hpp"

namespace kedge::cases {

constexpr Element weight_elements[] = {
#define KEDGE_FORMAT(stem, Type) Element::stem,
    KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
};

}  // namespace kedge::cases
