// run_operator: one operator on host tensors, start to end.
#pragma once

#include "device.hpp"

namespace kedge::inline KEDGE_ABI::vulkan {

Status run_operator(Device& device, const char* op, const Arguments& arguments, RecordBody record,
                    const void* args, std::int64_t rows);

}  // namespace kedge::inline KEDGE_ABI::vulkan
