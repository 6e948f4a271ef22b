# Every switch of the build. An option that needs something from outside is ON (an error when that is
# missing), OFF, or AUTO: built where what it needs is there, and the summary says why it is not.
# A consumer gets the library alone; whoever works on Kedge gets everything that can be built.
if(PROJECT_IS_TOP_LEVEL)
  set(kedge_default AUTO)
else()
  set(kedge_default OFF)
endif()
function(kedge_option name default help)
  set(${name} ${default} CACHE STRING "${help} (ON, OFF or AUTO)")
  set_property(CACHE ${name} PROPERTY STRINGS ON OFF AUTO)
endfunction()
kedge_option(KEDGE_OPENMP AUTO "Use OpenMP for the default executor")
kedge_option(KEDGE_JSON AUTO "Read Hugging Face folders and tokenizer.json (needs nlohmann-json)")
kedge_option(KEDGE_TEXT ${kedge_default} "Build tokenizers and chat templates (needs PCRE2 and utf8proc)")
kedge_option(KEDGE_VULKAN ${kedge_default} "Build the Vulkan backend (needs Vulkan headers and glslangValidator)")
kedge_option(KEDGE_BUILD_TOOLS ${kedge_default} "Build the kedge program (needs KEDGE_TEXT, CLI11, nlohmann-json, fmt)")
kedge_option(KEDGE_BUILD_TESTS ${kedge_default} "Build the tests (needs GoogleTest)")

option(BUILD_SHARED_LIBS "Build shared libraries" OFF)
option(KEDGE_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(KEDGE_BUILD_FUZZERS "Build libFuzzer programs (needs clang; preset fuzz)" OFF)
option(KEDGE_INSTALL "Make install rules" ${PROJECT_IS_TOP_LEVEL})
option(KEDGE_WARNINGS_AS_ERRORS "Treat warnings as errors" OFF)
set(KEDGE_SANITIZE "" CACHE STRING "Sanitizers for every target, for example address,undefined")
if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  # Kernels without optimization are of no use to anybody who did not ask for them.
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()
