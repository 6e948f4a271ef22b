# kedge_unite(TARGET GROUP SOURCE...): with KEDGE_UNITY these sources are compiled as one. For programs
# whose sources use the same large templates (a parser of command lines, JSON, GoogleTest), which take
# longer than the sources themselves. Names in their anonymous namespaces must then differ.
function(kedge_unite target group)
  if(NOT KEDGE_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  set_source_files_properties(${ARGN} PROPERTIES UNITY_GROUP ${group})
endfunction()
