# kedge_add_op(NAME): the one line that wires an operator. By its stem alone it finds
#   include/kedge/op/NAME.hpp              the policy: arguments, checks, cost
#   include/kedge/kernel/ref/NAME.hpp      the definition of correct, in double
#   include/kedge/kernel/cpu/NAME.hpp      host wrapper: how the work is cut into phases
#   include/kedge/kernel/cpu/NAME-inl.hpp  the micro-kernel, compiled once per ISA
#   tests/cases/NAME.hpp                   cases that tests, `kedge op` and benches share
# UNITS a b ... instead compiles kernel/cpu/NAME/a-inl.hpp, b-inl.hpp, ..., each a unit per ISA: for
# an operator whose kernels take long to build in one piece. OPTIONS are compile options of its units. DOTS:
# they are products of integers, which more levels have instructions for (KEDGE_DECLARE_DOT_UNITS).
# And with SHADER [VARIANTS ...] also shaders/NAME.comp, abi/NAME.h and kernel/vulkan/NAME.hpp;
# VARIANTS are those of kedge_add_shader(). SHADER_OF other: kernel/vulkan/NAME.hpp alone, which uses
# the other operator's modules.
# A project outside the tree says whose it is: kedge_add_op(NAME TARGET target [HEADER file]) compiles
# HEADER (default NAME-inl.hpp, found in the target's include folders) once per ISA into its target,
# which links kedge::kedge. Its shader is a kedge_add_shader() of its own.
# In the tree, the operator appears in the generated lists that the registry, the parity tests, `kedge op` and the
# benches include; no other list is edited.

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  # The longest first: a build on two cores then ends on both at once.
  set(KEDGE_ISAS avx512 avx2 scalar)
  set(KEDGE_DOT_ISAS avx512 avxvnni avx2 scalar)
  set(KEDGE_ISA_FLAGS_scalar "")
  set(KEDGE_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c)
  set(KEDGE_ISA_FLAGS_avxvnni ${KEDGE_ISA_FLAGS_avx2} -mavxvnni)
  set(KEDGE_ISA_FLAGS_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma
    -mf16c -mprefer-vector-width=512)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 warns about the undefined operand inside its own AVX-512 intrinsics.
    list(APPEND KEDGE_ISA_FLAGS_avx512 -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
  set(KEDGE_ISAS neon scalar)
  set(KEDGE_DOT_ISAS ${KEDGE_ISAS})
  set(KEDGE_ISA_FLAGS_scalar "")
  set(KEDGE_ISA_FLAGS_neon -march=armv8.2-a+dotprod)
else()
  set(KEDGE_ISAS scalar)
  set(KEDGE_DOT_ISAS scalar)
endif()

define_property(GLOBAL PROPERTY KEDGE_OPS BRIEF_DOCS "Operators in order of kedge_add_op" FULL_DOCS "-")
define_property(GLOBAL PROPERTY KEDGE_SHADER_OPS BRIEF_DOCS "Operators that have a shader" FULL_DOCS "-")

# kedge_add_isa_units(NAME HEADER TARGET [OPTION ...]): compiles HEADER once per ISA, with that ISA's
# flags and KEDGE_ISA defined, and links the units into TARGET. Only such units get ISA flags.
function(kedge_add_isa_units name header target)
  # What makes bytes equal and keeps the unit to itself; the same for operators of other projects.
  set(options -ffp-contract=off -fvisibility=hidden -fno-exceptions -fno-rtti ${ARGN})
  foreach(isa IN LISTS KEDGE_ISAS)
    set(unit ${PROJECT_BINARY_DIR}/isa/${name}_${isa}.cpp)
    file(CONFIGURE OUTPUT ${unit} CONTENT
      "#define KEDGE_ISA ${isa}\n#define KEDGE_ISA_IS_${isa} 1\n#include \"${header}\"\n")
    add_library(kedge_isa_${name}_${isa} OBJECT ${unit})
    target_compile_features(kedge_isa_${name}_${isa} PRIVATE cxx_std_20)
    target_include_directories(kedge_isa_${name}_${isa} PRIVATE
      $<TARGET_PROPERTY:${target},INCLUDE_DIRECTORIES>)
    if(TARGET kedge_flags)
      set(flags kedge_flags)
      if(isa STREQUAL "scalar")
        set(flags kedge_compile_unit)  # with sanitizers, if any
      endif()
      target_link_libraries(kedge_isa_${name}_${isa} PRIVATE ${flags})
    else()
      target_link_libraries(kedge_isa_${name}_${isa} PRIVATE kedge::kedge)
    endif()
    target_compile_options(kedge_isa_${name}_${isa} PRIVATE ${options} ${KEDGE_ISA_FLAGS_${isa}})
    set_target_properties(kedge_isa_${name}_${isa} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:kedge_isa_${name}_${isa}>)
    set_property(GLOBAL APPEND PROPERTY KEDGE_ISA_OBJECTS $<TARGET_OBJECTS:kedge_isa_${name}_${isa}>)
  endforeach()
endfunction()

function(kedge_add_op name)
  cmake_parse_arguments(arg "SHADER;DOTS;COMPOSED" "TARGET;HEADER;SHADER_OF" "VARIANTS;UNITS;OPTIONS" ${ARGN})
  if(arg_TARGET)
    if(NOT arg_HEADER)
      set(arg_HEADER ${name}-inl.hpp)
    endif()
    kedge_add_isa_units(${name} ${arg_HEADER} ${arg_TARGET} ${arg_OPTIONS})
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY KEDGE_OPS ${name})
  if(arg_SHADER)
    set_property(GLOBAL APPEND PROPERTY KEDGE_SHADER_OPS ${name})
    set_property(GLOBAL PROPERTY KEDGE_SHADER_VARIANTS_${name} "${arg_VARIANTS}")
  endif()
  if(arg_SHADER_OF)
    set_property(GLOBAL APPEND PROPERTY KEDGE_SHADER_OPS ${name})
    set_property(GLOBAL PROPERTY KEDGE_SHADER_OF_${name} ${arg_SHADER_OF})
  endif()
  if(arg_DOTS)
    set(KEDGE_ISAS ${KEDGE_DOT_ISAS})
  endif()
  if(NOT arg_UNITS AND NOT arg_COMPOSED)
    set_property(GLOBAL APPEND PROPERTY KEDGE_UNITS kedge/kernel/cpu/${name}-inl.hpp)
    kedge_add_isa_units(${name} "kedge/kernel/cpu/${name}-inl.hpp" kedge ${arg_OPTIONS})
  endif()
  foreach(unit IN LISTS arg_UNITS)
    set_property(GLOBAL APPEND PROPERTY KEDGE_UNITS kedge/kernel/cpu/${name}/${unit}-inl.hpp)
    kedge_add_isa_units(${name}_${unit} "kedge/kernel/cpu/${name}/${unit}-inl.hpp" kedge ${arg_OPTIONS})
  endforeach()
endfunction()

# Writes generated/kedge/ops.inc (KEDGE_OP(rms_norm, RmsNorm) per line) and ops_includes.inc.
function(kedge_finish_ops)
  get_property(ops GLOBAL PROPERTY KEDGE_OPS)
  foreach(kind op kernel/ref kernel/cpu)
    set(includes "")
    foreach(name IN LISTS ops)
      string(APPEND includes "#include \"kedge/${kind}/${name}.hpp\"\n")
    endforeach()
    string(REPLACE "/" "_" file ${kind})
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kedge/${file}_includes.inc CONTENT "${includes}" @ONLY)
  endforeach()
  # For header-only programs, installed with the headers: every operator and every unit.
  get_property(units GLOBAL PROPERTY KEDGE_UNITS)
  set(includes "")
  foreach(name IN LISTS ops)
    string(APPEND includes "#include \"kedge/kernel/cpu/${name}.hpp\"\n#include \"kedge/kernel/ref/${name}.hpp\"\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kedge/operators.hpp CONTENT
    "// Every operator of Kedge with its kernels. Generated.\n#pragma once\n\n${includes}" @ONLY)
  list(TRANSFORM units REPLACE "(.+)" "#include \"\\1\"")
  list(JOIN units "\n" units)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kedge/operator_units.inc CONTENT "${units}\n" @ONLY)

  set(cases "")
  set(list "")
  foreach(name IN LISTS ops)
    kedge_camel_case(${name} camel)
    string(APPEND list "KEDGE_OP(${name}, ${camel})\n")
    string(APPEND cases "#include \"cases/${name}.hpp\"\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kedge/ops.inc CONTENT "${list}" @ONLY)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kedge/cases_includes.inc CONTENT "${cases}" @ONLY)

  get_property(shader_ops GLOBAL PROPERTY KEDGE_SHADER_OPS)
  set(list "")
  set(includes "")
  set(abi "")
  foreach(name IN LISTS shader_ops)
    kedge_camel_case(${name} camel)
    string(APPEND list "KEDGE_OP(${name}, ${camel})\n")
    string(APPEND includes "#include \"kedge/kernel/vulkan/${name}.hpp\"\n")
    get_property(other GLOBAL PROPERTY KEDGE_SHADER_OF_${name})
    if(NOT other)
      string(APPEND abi "#include \"kedge/abi/${name}.h\"\n")
    endif()
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kedge/abi_includes.inc CONTENT "${abi}" @ONLY)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kedge/shader_ops.inc CONTENT "${list}" @ONLY)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/kedge/kernel_vulkan_includes.inc CONTENT "${includes}" @ONLY)
endfunction()

function(kedge_camel_case name result)
  string(REPLACE "_" ";" words ${name})
  set(camel "")
  foreach(word IN LISTS words)
    string(SUBSTRING ${word} 0 1 first)
    string(SUBSTRING ${word} 1 -1 rest)
    string(TOUPPER ${first} first)
    string(APPEND camel ${first}${rest})
  endforeach()
  set(${result} ${camel} PARENT_SCOPE)
endfunction()
