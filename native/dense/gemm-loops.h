// In which order, and in which pieces, an operator runs its matrix multiply.
//
// Upstream's loops have rows outside and output channels inside, so that all
// weights pass once per tile of a few rows. Here channels are outside: one
// block of weights stays in the second-level cache while all rows pass.

#ifndef TFLITE_SPARSE_NATIVE_DENSE_GEMM_LOOPS_H_
#define TFLITE_SPARSE_NATIVE_DENSE_GEMM_LOOPS_H_

#include <stddef.h>

#include "pthreadpool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct xnn_operator;
struct compute_parameters;

// A block of outputs of one task: whole tiles of rows, but for the last.
struct gemm_block {
  size_t group;
  size_t channel;
  size_t num_channels;
  size_t batch;
  size_t row;
  size_t num_rows;
};

typedef void (*gemm_block_fn)(const struct xnn_operator* op,
                              const struct gemm_block* block);

// What an operator's tasks run, and how they are cut: set at reshape.
struct gemm_loops {
  gemm_block_fn run;
  size_t num_channels;
  // Rows of a tile of the kernel, channels of a block.
  size_t mr;
  size_t channels_per_block;
};

// The extent of a multiply.
struct gemm_extent {
  size_t num_groups;
  size_t num_channels;
  size_t num_batches;
  size_t num_rows;
  // Tile of the kernel, and bytes of packed weights per channel.
  size_t mr;
  size_t nr;
  size_t channel_bytes;
};

// Makes one invocation of an operator run blocks of `extent`.
void gemm_loops_set(struct xnn_operator* op, struct compute_parameters* compute,
                    const struct gemm_extent* extent, gemm_block_fn run,
                    pthreadpool_t threadpool);

// Runs one tile, at most MR rows, in upstream's kernel of an indirect GEMM:
// `pointers` are the tile's, `output` is where its first row and channel go.
void gemm_run_indirect_tile(const struct xnn_operator* op,
                            const struct gemm_block* tile,
                            const void** pointers, void* output,
                            size_t output_stride);

// Hook: exchanges the loops of an operator that upstream has reshaped, if it is
// a matrix multiply with weights of its own.
void xnn_reorder_gemm_loops(struct xnn_operator* op, pthreadpool_t threadpool);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_DENSE_GEMM_LOOPS_H_
