// What kernels are written for, and costs are measured on.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_INSTRUCTION_SET_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_INSTRUCTION_SET_H_

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum instruction_set {
  instruction_set_baseline,
  instruction_set_neon,
  instruction_set_fma3,
  instruction_set_avx512f,
  // Those that costs are measured on.
  instruction_set_count,
  // For kernels in 8 bits alone.
  instruction_set_neondot,
  instruction_set_avx2,
  instruction_set_avx512vnni,
  instruction_set_avx512amx,
};

// Whether this machine has an instruction set, as far as XNNPACK may use it.
bool instruction_set_is_present(enum instruction_set set);

// The last of those with costs that this machine has.
enum instruction_set instruction_set_best(void);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_KERNELS_INSTRUCTION_SET_H_
