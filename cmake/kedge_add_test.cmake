# GoogleTest and what nearly all tests include are read once: two seconds of every source. A test that is
# compiled with definitions or options of its own says NO_PCH.
function(kedge_add_test_headers)
  if(TARGET kedge_test_headers)
    return()
  endif()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/test_headers.cpp CONTENT "")
  add_library(kedge_test_headers OBJECT ${PROJECT_BINARY_DIR}/generated/test_headers.cpp)
  kedge_compile_test(kedge_test_headers)
  target_precompile_headers(kedge_test_headers PRIVATE <gtest/gtest.h> <algorithm> <cmath> <cstring>
    <fstream> <functional> <map> <random> <string> <vector>)
endfunction()

function(kedge_compile_test name)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_BINARY_DIR}/generated)
  target_compile_definitions(${name} PRIVATE KEDGE_GOLDEN_DIR="${PROJECT_SOURCE_DIR}/tests/golden"
    KEDGE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  # Kernels are in the library; optimizing the tests themselves would double the build's time.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_link_libraries(${name} PRIVATE kedge::kedge kedge_compile ${ARGN} GTest::gtest_main)
endfunction()

# kedge_add_test(NAME SOURCES ... [LINK ...] [LABELS ...] [TIMEOUT seconds] [NO_PCH]): one GoogleTest program,
# one ctest entry. Label `slow` keeps it out of scripts/test unless --all is given.
function(kedge_add_test name)
  cmake_parse_arguments(arg "NO_PCH" "TIMEOUT" "SOURCES;LINK;LABELS;ARGS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  kedge_compile_test(${name} ${arg_LINK})
  if(NOT arg_NO_PCH)
    kedge_add_test_headers()
    target_precompile_headers(${name} REUSE_FROM kedge_test_headers)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()
