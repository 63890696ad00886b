# Before 1.0, another minor version may have another interface.
set(PACKAGE_VERSION "@VERSION@")
string(REGEX MATCH "^[0-9]+\\.[0-9]+" _tflite_sparse_interface "${PACKAGE_VERSION}")
if("${PACKAGE_FIND_VERSION}" VERSION_LESS_EQUAL PACKAGE_VERSION AND
   "${PACKAGE_FIND_VERSION}" MATCHES "^(${_tflite_sparse_interface}(\\..*)?)?$")
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if("${PACKAGE_FIND_VERSION}" VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
unset(_tflite_sparse_interface)
