// One product that embeds a version of Kedge and shows nothing of it.
#include "../decode.hpp"

#define NAME_2(which) which##_decode
#define NAME(which) NAME_2(which)
#define TEXT_2(text) #text
#define TEXT(text) TEXT_2(text)

const char* NAME(WRAPPER)(const char* path, std::int32_t* out, int count);

// The version's namespace, or null when decoding failed.
const char* NAME(WRAPPER)(const char* path, std::int32_t* out, int count) {
  return consumer::decode(path, out, count) == 0 ? TEXT(KEDGE_ABI) : nullptr;
}
