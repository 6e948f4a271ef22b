# What `cmake --install` puts where. Everything finds the rest from its own place, so a prefix may be
# moved.
include(CMakePackageConfigHelpers)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/kedge DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT kedge FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/generated/kedge/operators.hpp
  ${PROJECT_BINARY_DIR}/generated/kedge/operator_units.inc
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kedge COMPONENT kedge)
install(TARGETS kedge_header_only EXPORT kedge-header_only COMPONENT kedge)
install(EXPORT kedge-header_only NAMESPACE kedge:: DESTINATION ${KEDGE_INSTALL_CMAKEDIR} COMPONENT kedge)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/kedge-config.cmake.in
  ${PROJECT_BINARY_DIR}/kedge-config.cmake INSTALL_DESTINATION ${KEDGE_INSTALL_CMAKEDIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kedge-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kedge-config.cmake ${PROJECT_BINARY_DIR}/kedge-config-version.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindPcre2.cmake ${PROJECT_SOURCE_DIR}/cmake/FindUtf8proc.cmake
  ${PROJECT_SOURCE_DIR}/cmake/kedge_add_op.cmake ${PROJECT_SOURCE_DIR}/cmake/kedge_add_shader.cmake
  DESTINATION ${KEDGE_INSTALL_CMAKEDIR} COMPONENT kedge)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/shaders/common DESTINATION ${KEDGE_INSTALL_CMAKEDIR}/shaders
  COMPONENT kedge)

# kedge.pc: from its own place to the prefix, however deep the library folder is.
file(RELATIVE_PATH kedge_pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
set(kedge_pc_libs -pthread)
if(KEDGE_OPENMP)
  string(APPEND kedge_pc_libs " ${OpenMP_CXX_FLAGS}")
endif()
set(kedge_pc_private "")
if(BUILD_SHARED_LIBS)
  set(kedge_pc_private ${kedge_pc_libs})
  set(kedge_pc_libs "")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/kedge.pc.in ${PROJECT_BINARY_DIR}/kedge.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/kedge.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT kedge)
