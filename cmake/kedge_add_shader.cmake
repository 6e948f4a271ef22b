# kedge_add_shader(NAME TARGET target [SOURCE file] [VARIANTS name:DEF=1,DEF2=3 ...])
# Compiles shaders/NAME.comp (or SOURCE) to SPIR-V, once per variant with that variant's macros, and
# gives `target` one source that holds all of them: each module is a kedge::vulkan::shader::NAME_VARIANT
# (NAME without variants), which kernel/vulkan/NAME.hpp declares with KEDGE_DECLARE_SHADER. What changes
# types or bindings is a variant; what only shapes loops is a specialization constant. A module is
# compiled again when its source or anything that it includes changed. The shader includes
# kedge/abi/NAME.h and common/*.glsl, those beside SOURCE first.
# kedge_finish_shaders() writes generated/kedge/shaders.inc: KEDGE_SHADER(module, operator) per line.
# Tools: glslangValidator (Debian: glslang-tools). Tests give the modules to spirv-val (spirv-tools).

define_property(GLOBAL PROPERTY KEDGE_SHADER_MODULES BRIEF_DOCS "module:operator" FULL_DOCS "-")

function(kedge_add_shader name)
  cmake_parse_arguments(arg "" "TARGET;SOURCE" "VARIANTS" ${ARGN})
  find_program(KEDGE_GLSLANG glslangValidator)
  if(NOT KEDGE_GLSLANG)
    message(FATAL_ERROR "KEDGE_VULKAN needs glslangValidator (Debian: glslang-tools); "
      "install it or configure with -DKEDGE_VULKAN=OFF")
  endif()
  if(NOT arg_SOURCE)
    set(arg_SOURCE ${PROJECT_SOURCE_DIR}/shaders/${name}.comp)
  endif()
  get_property(includes GLOBAL PROPERTY KEDGE_SHADER_INCLUDES)
  list(TRANSFORM includes PREPEND -I)
  get_filename_component(source ${arg_SOURCE} ABSOLUTE)
  get_filename_component(source_folder ${source} DIRECTORY)
  if(NOT arg_VARIANTS)
    set(arg_VARIANTS ":")
  endif()
  set(folder ${PROJECT_BINARY_DIR}/shaders)
  file(MAKE_DIRECTORY ${folder})
  set(headers "")
  set(words "")
  set(modules "")
  foreach(variant IN LISTS arg_VARIANTS)
    if(NOT variant MATCHES "^([a-z0-9_]*):(.*)$")
      message(FATAL_ERROR "kedge_add_shader(${name}): expected variant:DEF=1,DEF2=3, found '${variant}'")
    endif()
    set(module ${name})
    if(CMAKE_MATCH_1)
      string(APPEND module _${CMAKE_MATCH_1})
    endif()
    string(REPLACE "," ";" defines "${CMAKE_MATCH_2}")
    list(TRANSFORM defines PREPEND -D)
    # The words as an array, each of another name: files of equal content count as one for #pragma once.
    add_custom_command(OUTPUT ${folder}/${module}.h
      COMMAND ${KEDGE_GLSLANG} --quiet --target-env vulkan1.2 -V ${defines} -I${source_folder} ${includes}
        ${source} -o ${folder}/${module}.h --vn kedge_spirv_${module} --depfile ${folder}/${module}.d
      DEPENDS ${source} DEPFILE ${folder}/${module}.d
      COMMENT "Compiling shader ${module}" VERBATIM)
    list(APPEND headers ${folder}/${module}.h)
    string(APPEND words "#include \"${folder}/${module}.h\"\n")
    string(APPEND modules "extern const Shader ${module};\nconst Shader ${module}{\"${module}\", "
      "kedge_spirv_${module}, sizeof kedge_spirv_${module} / 4};\n")
    set_property(GLOBAL APPEND PROPERTY KEDGE_SHADER_MODULES ${module}:${name})
  endforeach()
  file(CONFIGURE OUTPUT ${folder}/${name}.cpp CONTENT
"#include <cstdint>
#include \"kedge/kernel/vulkan/dispatch.hpp\"
namespace {
${words}}
namespace kedge::inline KEDGE_ABI::vulkan::shader {
${modules}}
" @ONLY)
  set_source_files_properties(${folder}/${name}.cpp PROPERTIES OBJECT_DEPENDS "${headers}" COMPILE_OPTIONS "-w")
  target_sources(${arg_TARGET} PRIVATE ${folder}/${name}.cpp ${headers})
endfunction()
# Where shaders find common/*.glsl and kedge/abi/*.h: in the tree, or where they were installed.
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/../shaders/common)
  set_property(GLOBAL PROPERTY KEDGE_SHADER_INCLUDES ${CMAKE_CURRENT_LIST_DIR}/../shaders
    ${CMAKE_CURRENT_LIST_DIR}/../include)
else()
  set_property(GLOBAL PROPERTY KEDGE_SHADER_INCLUDES ${CMAKE_CURRENT_LIST_DIR}/shaders
    ${PACKAGE_PREFIX_DIR}/include)
endif()

function(kedge_finish_shaders)
  get_property(modules GLOBAL PROPERTY KEDGE_SHADER_MODULES)
  set(list "")
  foreach(entry IN LISTS modules)
    string(REPLACE ":" ";" entry ${entry})
    list(GET entry 0 module)
    list(GET entry 1 name)
    kedge_camel_case(${name} camel)
    string(APPEND list "KEDGE_SHADER(${module}, ${camel})\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kedge/shaders.inc CONTENT "${list}" @ONLY)
endfunction()
