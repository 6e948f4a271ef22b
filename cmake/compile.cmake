# How Kedge's own targets are compiled. Nothing here reaches a consumer except C++20.
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  find_program(KEDGE_CCACHE ccache)
  if(KEDGE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # Without these ccache never finds a file again that is compiled with a precompiled header.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros ${KEDGE_CCACHE})
  endif()
endif()

add_library(kedge_flags INTERFACE)
target_compile_features(kedge_flags INTERFACE cxx_std_20)
# -ffp-contract=off: the compiler may not fuse multiply and add on its own, not even through
# intrinsics, or bytes would change with its version (docs/exactness.md).
target_compile_options(kedge_flags INTERFACE -ffp-contract=off -fvisibility=hidden
  -fvisibility-inlines-hidden -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns about its own std::string operator+ (GCC bug 105651).
  target_compile_options(kedge_flags INTERFACE -Wno-restrict)
endif()
if(KEDGE_WARNINGS_AS_ERRORS)
  target_compile_options(kedge_flags INTERFACE -Werror)
endif()

# Apart from the flags: units of kernels for AVX2 and AVX-512 take minutes and gigabytes to compile
# with sanitizers, so of the units only the scalar ones have them: the same source, the same loads.
# Watching the stack as well (asan-stack) makes ten minutes of those, too.
add_library(kedge_compile INTERFACE)
target_link_libraries(kedge_compile INTERFACE kedge_flags)
if(KEDGE_SANITIZE)
  target_compile_options(kedge_compile INTERFACE -fsanitize=${KEDGE_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(kedge_compile INTERFACE -fsanitize=${KEDGE_SANITIZE})
endif()
add_library(kedge_compile_unit INTERFACE)
target_link_libraries(kedge_compile_unit INTERFACE kedge_compile)
if(KEDGE_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(kedge_compile_unit INTERFACE -O1 --param asan-stack=0)
endif()
