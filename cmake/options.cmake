# Every switch of the build. What a consumer does not need is off unless Kedge is the top project.
option(KEDGE_VULKAN "Build the Vulkan backend (needs glslangValidator and Vulkan headers)" ${PROJECT_IS_TOP_LEVEL})
option(KEDGE_TEXT "Build tokenizers and chat templates (needs PCRE2)" ${PROJECT_IS_TOP_LEVEL})
option(KEDGE_OPENMP "Use OpenMP for the default executor" ON)
option(KEDGE_BUILD_TOOLS "Build the kedge program (needs CLI11, nlohmann-json, fmt)" ${PROJECT_IS_TOP_LEVEL})
option(KEDGE_BUILD_TESTS "Build the tests (needs GoogleTest)" ${PROJECT_IS_TOP_LEVEL})
option(KEDGE_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(KEDGE_WARNINGS_AS_ERRORS "Treat warnings as errors" OFF)
set(KEDGE_SANITIZE "" CACHE STRING "Sanitizers for every target, for example address,undefined")
