// Everything that a program which embeds Kedge needs: models, sessions, drafters. For users only;
// the library itself never includes it.
#pragma once

#include "kedge/backend/cpu.hpp"
#include "kedge/core/executor.hpp"
#include "kedge/core/result.hpp"
#include "kedge/draft/chain.hpp"
#include "kedge/draft/extended.hpp"
#include "kedge/draft/lookup.hpp"
#include "kedge/draft/model.hpp"
#include "kedge/draft/suffix.hpp"
#include "kedge/model/model.hpp"
#include "kedge/spec/session.hpp"
