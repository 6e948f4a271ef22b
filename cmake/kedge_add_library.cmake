# kedge_add_library(TARGET NAME [SOURCES ...]): one component of Kedge, used as kedge::NAME. Shared
# libraries export what headers mark with KEDGE_API alone, and name their ABI: while the version is
# 0.x every minor version may change it.
function(kedge_add_library target name)
  cmake_parse_arguments(arg "" "" "SOURCES" ${ARGN})
  add_library(${target} ${arg_SOURCES})
  add_library(kedge::${name} ALIAS ${target})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> PRIVATE ${PROJECT_BINARY_DIR}/generated)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:kedge_compile>)
  # No symbol for exports: objects of a static and a shared build are then the same, and so is cached.
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON EXPORT_NAME ${name} DEFINE_SYMBOL ""
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  if(KEDGE_INSTALL)
    install(TARGETS ${target} EXPORT kedge-${name} COMPONENT ${name}
      ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
      RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(EXPORT kedge-${name} NAMESPACE kedge:: DESTINATION ${KEDGE_INSTALL_CMAKEDIR}
      FILE kedge-${name}.cmake COMPONENT ${name})
  endif()
endfunction()
