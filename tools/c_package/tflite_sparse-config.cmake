# find_package(tflite_sparse) defines the target tflite_sparse::tensorflowlite_c.
get_filename_component(_tflite_sparse_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET tflite_sparse::tensorflowlite_c)
  add_library(tflite_sparse::tensorflowlite_c SHARED IMPORTED)
  set_target_properties(tflite_sparse::tensorflowlite_c PROPERTIES
    IMPORTED_LOCATION "${_tflite_sparse_prefix}/lib/libtensorflowlite_c.so"
    IMPORTED_SONAME "libtensorflowlite_c.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_tflite_sparse_prefix}/include")
endif()
unset(_tflite_sparse_prefix)
