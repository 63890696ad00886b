// Flags that the engine adds to upstream's, in bits that upstream leaves free.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_ROW_FLAGS_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_ROW_FLAGS_H_

// The convolution finds its input rows through an indirection buffer, also
// where a GEMM over contiguous rows would do.
#define XNN_FLAG_ROW_INDIRECTION 0x08000000

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_ROW_FLAGS_H_
