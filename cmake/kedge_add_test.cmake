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

# kedge_add_test(NAME SOURCES ... [LINK ...] [LABELS ...] [TIMEOUT seconds] [THREADED filter] [SLOW] [NO_PCH]):
# one GoogleTest program. THREADED: tests of this filter make a ctest entry of their own, NAME_threads, beside
# which nothing runs: threads that meet at barriers wait for a time slice each time when another program
# has a processor. "*": all of them, and NAME itself is that entry. SLOW: tests whose names begin with Slow
# make the entry NAME_slow. Label `slow` keeps it out of scripts/test unless --all is given.
function(kedge_add_test name)
  cmake_parse_arguments(arg "NO_PCH;SLOW" "TIMEOUT;THREADED" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  kedge_compile_test(${name} ${arg_LINK})
  if(NOT arg_NO_PCH)
    kedge_add_test_headers()
    target_precompile_headers(${name} REUSE_FROM kedge_test_headers)
  endif()
  # What replaces malloc stays by itself.
  set(united ${arg_SOURCES})
  list(FILTER united INCLUDE REGEX "_test[.]cpp$")
  list(LENGTH united count)
  if(count GREATER 1)
    kedge_unite(${name} ${name} ${united})
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()

  set(without -nothing)
  if(arg_SLOW)
    set(without -*.Slow*)
    kedge_add_test_entry(${name}_slow ${name} 3600 "slow;${arg_LABELS}" "*.Slow*")
    set_tests_properties(${name}_slow PROPERTIES PROCESSORS 2)
  endif()
  if(arg_THREADED STREQUAL "*")
    kedge_add_test_entry(${name} ${name} ${arg_TIMEOUT} "${arg_LABELS}" "*:${without}")
    set_tests_properties(${name} PROPERTIES PROCESSORS 2)
    return()
  endif()
  if(arg_THREADED)
    kedge_add_test_entry(${name}_threads ${name} ${arg_TIMEOUT} "${arg_LABELS}" "${arg_THREADED}:${without}")
    set_tests_properties(${name}_threads PROPERTIES PROCESSORS 2)
    string(APPEND without ":${arg_THREADED}")
  endif()
  kedge_add_test_entry(${name} ${name} ${arg_TIMEOUT} "${arg_LABELS}" "*:${without}")
endfunction()

function(kedge_add_test_entry entry program timeout labels filter)
  add_test(NAME ${entry} COMMAND ${program} --gtest_filter=${filter} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${entry} PROPERTIES TIMEOUT ${timeout} LABELS "${labels}")
endfunction()
