# A wall of warnings over Kedge's public headers, which the consumer includes as its own, and a look
# at what the target kedge::kedge asks of who links it: C++20 and nothing else.
set(CMAKE_NO_SYSTEM_FROM_IMPORTED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(wall -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Wundef -Wcast-align
  -Wcast-qual -Wnon-virtual-dtor -Woverloaded-virtual -Wformat=2 -Wdouble-promotion
  -Wimplicit-fallthrough -Wmissing-declarations -Wredundant-decls -Werror)

function(expect_nothing_leaks target)
  foreach(property INTERFACE_COMPILE_OPTIONS INTERFACE_COMPILE_DEFINITIONS INTERFACE_LINK_OPTIONS
      INTERFACE_SOURCES INTERFACE_PRECOMPILE_HEADERS)
    get_target_property(value ${target} ${property})
    if(value)
      message(FATAL_ERROR "${target} gives its consumers ${property} ${value}")
    endif()
  endforeach()
  get_target_property(features ${target} INTERFACE_COMPILE_FEATURES)
  if(NOT features STREQUAL "cxx_std_20")
    message(FATAL_ERROR "${target} gives its consumers the features ${features}")
  endif()
endfunction()
