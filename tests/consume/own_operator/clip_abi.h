#ifndef APP_CLIP_ABI_H
#define APP_CLIP_ABI_H
#include "kedge/abi/common.h"

#define APP_CLIP_PUSH(MEMBER) \
  MEMBER(uint, count)         \
  MEMBER(float, low)          \
  MEMBER(float, high)
#define APP_CLIP_CONSTANTS(CONSTANT)

KEDGE_GPU_OPERATOR(Clip, APP_CLIP_PUSH, APP_CLIP_CONSTANTS, 2)
#endif
