// Activation sparsity in XNNPACK subgraphs: the interface for clients.
//
// A mask is a multiply by a static [1, H, W, 1] value of only 0 and 1. The
// engine finds such multiplies and skips the work whose result they would
// throw away. See docs/engine.md.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_SPARSITY_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_SPARSITY_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xnnpack.h"

#ifdef __cplusplus
extern "C" {
#endif

enum xnn_sparsity_mode {
  // Masked tensors keep only their kept rows from one node to the next.
  xnn_sparsity_mode_compact = 0,
  // Convolutions skip masked pixels and write zero rows; tensors stay dense.
  xnn_sparsity_mode_insert,
  // Multiplies run as written.
  xnn_sparsity_mode_off,
};

// What became of one mask of the graph.
struct xnn_masked_layer {
  // The value that the mask multiply writes.
  uint32_t value_id;
  // Kind of the node that skips the masked pixels; NULL if none does.
  const char* op;
  // compact: stored as kept rows; insert: stored dense, its producers skip the
  // masked pixels; off: its producers compute every pixel.
  enum xnn_sparsity_mode form;
  // Pixels of the mask: ones, and all. Both 0 if the multiply is no mask.
  size_t kept_pixels;
  size_t total_pixels;
  // Multiply-accumulates, for a batch of one, of the convolutions that the
  // mask reaches: if every pixel were computed, and as computed.
  uint64_t macs_dense;
  uint64_t macs_kept;
  // Whether the form is `off` though another is possible: there is nothing to
  // skip, or skipping would cost more than it saves.
  bool is_dense_by_choice;
  // Why the form is `off`; empty otherwise.
  char reason[192];
};

// Whether convolutions and fully connected operators multiply only nonzero
// activations. Results are equal: it is a choice of speed.
enum xnn_zeros_mode {
  // Where it is faster, decided in each inference.
  xnn_zeros_mode_auto = 0,
  // Where it is possible.
  xnn_zeros_mode_always,
  xnn_zeros_mode_never,
};

enum xnn_zero_form {
  // Multiplies nonzero activations alone.
  xnn_zero_form_zeros,
  // Multiplies all, but for taps that read nothing but masked pixels.
  xnn_zero_form_tiles,
  xnn_zero_form_dense,
};

// What an operator did about zeros in the last inference.
struct xnn_zero_layer {
  // The value that it writes.
  uint32_t value_id;
  const char* op;
  enum xnn_zero_form form;
  // Share of zeros in the values of its input that were looked at, since the
  // runtime was created: the mean over the inferences in which it looked.
  // Negative if it never did.
  double zeros;
  // Why it cannot be `zeros`; NULL if it can.
  const char* obstacle;
  // The share of zeros when it last looked, and from which on skipping them
  // pays: more than 1 if it never does.
  double last_zeros;
  double pays_from;
};

// Chooses the mode for runtimes created later from this subgraph. A new
// subgraph has the mode auto.
enum xnn_status xnn_subgraph_set_zeros_mode(xnn_subgraph_t subgraph,
                                            enum xnn_zeros_mode mode);

// Describes the convolutions and fully connected operators, in execution order:
// as many as layers[capacity] holds. Returns their number.
size_t xnn_runtime_get_zero_layers(xnn_runtime_t runtime,
                                   struct xnn_zero_layer* layers,
                                   size_t capacity);

// Bytes that skipping zeros takes: of the arena for lists and sums, as much as
// one operator needs at most, and for the tables of who reads which rows.
size_t xnn_runtime_get_list_bytes(xnn_runtime_t runtime);

// Chooses the mode for runtimes created later from this subgraph. A new
// subgraph has the mode compact.
enum xnn_status xnn_subgraph_set_sparsity_mode(xnn_subgraph_t subgraph,
                                               enum xnn_sparsity_mode mode);

// The masks of the graph, in execution order. *layers lives as long as the
// runtime. Returns their number.
size_t xnn_runtime_get_masked_layers(xnn_runtime_t runtime,
                                     const struct xnn_masked_layer** layers);

// Bytes of the runtime's activation arena (0 before its first setup), and of
// all that exists for the masks alone: row sets, and indirection buffers as far
// as they are larger than those of dense convolutions.
void xnn_runtime_get_sparsity_memory(xnn_runtime_t runtime, size_t* arena_bytes,
                                     size_t* sparsity_bytes);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_SPARSITY_H_
