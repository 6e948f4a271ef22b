# kedge_add_test(NAME SOURCES ... [LINK ...] [LABELS ...] [TIMEOUT seconds]): one GoogleTest program,
# one ctest entry. Label `slow` keeps it out of scripts/test unless --all is given.
function(kedge_add_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINK;LABELS;ARGS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_BINARY_DIR}/generated)
  target_compile_definitions(${name} PRIVATE KEDGE_GOLDEN_DIR="${PROJECT_SOURCE_DIR}/tests/golden"
    KEDGE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  # Kernels are in the library; optimizing the tests themselves would double the build's time.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_link_libraries(${name} PRIVATE kedge::kedge kedge_compile ${arg_LINK} GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()
