// What multiplying zeros or skipping them costs, from measured layers.

#ifndef TFLITE_SPARSE_NATIVE_BENCHMARKS_ZERO_COSTS_H_
#define TFLITE_SPARSE_NATIVE_BENCHMARKS_ZERO_COSTS_H_

#include <string>
#include <vector>

namespace tflite_sparse::benchmarks {

enum class DenseKernel { kGemm, kIndirect, kNarrow };

// One measurement of a layer, times in nanoseconds.
struct ZeroSample {
  DenseKernel dense_kernel;
  // Channels of rows that the dense kernel multiplied, for so many outputs, in
  // sixteens.
  double dense_channels;
  double outputs;
  double dense_time;
  // Values that were looked at; lists that were visited and what they had.
  double values;
  double visits;
  double nonzeros;
  double listed_time;
  // Spread: visits of rows, 16 sums of their readers; nonzeros of the visits,
  // and 16 products of them. No time if the layer cannot be spread.
  double sources;
  double readers;
  double source_nonzeros;
  double products;
  double spread_time;
};

// The numbers of native/engine/costs.c from `dense_gemm` on, in picoseconds,
// and how far off the times are that they predict.
std::string ZeroCosts(const std::vector<ZeroSample>& samples);

}  // namespace tflite_sparse::benchmarks

#endif  // TFLITE_SPARSE_NATIVE_BENCHMARKS_ZERO_COSTS_H_
