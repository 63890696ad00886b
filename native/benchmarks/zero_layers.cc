// Layers that multiply only nonzero activations against upstream's kernels, on
// one thread, for each instruction set that the machine has:
//
//   zero_layers [LAYER [ZEROS...]]
//   zero_layers --costs
//   zero_layers --once FORM LAYER ZEROS
//
// LAYER is SIZExCHANNELSxOUTPUTSxKERNEL or that with xSTRIDE, such as
// 28x128x128x3; without one, the layers of ResNets, narrow ones, and a large
// fully connected one. ZEROS are shares of zeros (0.5 0.65 0.8). Prints, per
// layer and share, upstream's speed and how many times as fast ours is, finding
// the zeros included: with lists, and spread to their readers. Medians of
// interleaved runs. Ends with status 1 if an output differs.
//
// --once runs a layer once and prints nothing, for programs that count
// instructions: FORM is dense, lists, spread, or none for what comes before.
//
// --costs prints, per instruction set, the end of its line in
// native/engine/costs.c, fitted to all layers.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "native/benchmarks/zero_costs.h"
#include "native/engine/zeros/nonzero-block.h"
#include "native/engine/zeros/nonzero-spread.h"
#include "xnnpack.h"
#include "xnnpack/common.h"
#include "xnnpack/gemm.h"
#include "xnnpack/hardware-config.h"
#include "xnnpack/igemm.h"
#include "xnnpack/pack.h"

namespace tflite_sparse::benchmarks {
namespace {

constexpr int kRuns = 11;
// As in native/engine/zero-product.c.
constexpr size_t kRowsPerBlock = 128;
constexpr size_t kRowsPerSpreadBlock = 1024;
constexpr size_t kCachesOfSpreadWeights = 2;
constexpr size_t kCacheBytes = 48 * 1024;

struct Layer {
  size_t size;
  size_t channels;
  size_t outputs;
  size_t kernel;
  size_t stride = 1;
};

// Upstream's kernels for one instruction set, and ours.
struct InstructionSet {
  const char* name;
  const nonzero_kernels* kernels;
  nonzero_list_fn list;
  size_t mr;
  xnn_f32_gemm_minmax_ukernel_fn gemm;
  // For one row, and the sums that it keeps of each output.
  xnn_f32_gemm_minmax_ukernel_fn gemm_row;
  size_t sums_of_row;
  xnn_f32_igemm_minmax_ukernel_fn igemm;
};

// Those that a layer of so many outputs runs in, for each instruction set.
std::vector<InstructionSet> InstructionSets(size_t outputs) {
  std::vector<InstructionSet> sets;
  const xnn_hardware_config* hardware = xnn_init_hardware_config();
  (void)hardware;
  (void)outputs;
#if XNN_ARCH_X86_64
  if (hardware->use_x86_avx512f && outputs <= 16) {
    sets.push_back({"AVX-512", &kNonzeroAvx512fx16,
                    nonzero_list_for_this_machine(), 7,
                    xnn_f32_gemm_minmax_ukernel_7x16__avx512f_broadcast,
                    xnn_f32_gemm_minmax_ukernel_1x16__avx512f_broadcast, 1,
                    xnn_f32_igemm_minmax_ukernel_7x16__avx512f_broadcast});
  } else if (hardware->use_x86_avx512f) {
    sets.push_back({"AVX-512", &kNonzeroAvx512fx32,
                    nonzero_list_for_this_machine(), 7,
                    xnn_f32_gemm_minmax_ukernel_7x32__avx512f_broadcast,
                    xnn_f32_gemm_minmax_ukernel_1x32__avx512f_broadcast, 1,
                    xnn_f32_igemm_minmax_ukernel_7x32__avx512f_broadcast});
  }
  if (hardware->use_x86_fma3 && hardware->use_x86_avx2) {
    sets.push_back({"AVX2", &kNonzeroFma3x16, nonzero_list_avx2, 5,
                    xnn_f32_gemm_minmax_ukernel_5x16__fma3_broadcast,
                    xnn_f32_gemm_minmax_ukernel_1x16__fma3_broadcast, 1,
                    xnn_f32_igemm_minmax_ukernel_5x16__fma3_broadcast_prfm});
  }
#else
  sets.push_back(
      {"NEON", &kNonzeroNeonx8, nonzero_list_neon, 4,
       xnn_f32_gemm_minmax_ukernel_4x8__asm_aarch64_neonfma_cortex_a75_prfm,
       xnn_f32_gemm_minmax_ukernel_1x8__asm_aarch64_neonfma_cortex_a75_prfm, 2,
       xnn_f32_igemm_minmax_ukernel_4x8__asm_aarch64_neonfma_cortex_a75_prfm});
#endif
  return sets;
}

// Memory aligned as XNNPACK's allocations are.
template <typename T>
class Buffer {
 public:
  explicit Buffer(size_t count)
      : memory_((count + 64) * sizeof(T) + 64),
        data_(reinterpret_cast<T*>(
            (reinterpret_cast<uintptr_t>(memory_.data()) + 63) / 64 * 64)) {}
  T* get() { return data_; }
  T& operator[](size_t i) { return data_[i]; }

 private:
  std::vector<char> memory_;
  T* data_;
};

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2,
                   values.end());
  return values[values.size() / 2];
}

template <typename F>
double Milliseconds(const F& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double, std::milli> time =
      std::chrono::steady_clock::now() - start;
  return time.count();
}

void FillWithZeros(double share, size_t count, float* values,
                   std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(0, 1);
  for (size_t i = 0; i < count; i++) {
    values[i] = uniform(random) < share ? 0.0f : uniform(random);
  }
}

bool Measure(const InstructionSet& set, const Layer& layer,
             const std::vector<double>& shares, const std::string& only,
             std::vector<ZeroSample>* samples) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(0, 1);
  const size_t nr = set.kernels->nr;
  const size_t taps = layer.kernel * layer.kernel;
  const size_t inputs = layer.size * layer.size;
  const size_t side = (layer.size + layer.stride - 1) / layer.stride;
  const size_t pixels = side * side;
  const size_t mr = pixels == 1 ? 1 : set.mr;
  const size_t blocks = (layer.outputs + nr - 1) / nr;

  std::vector<float> filter(layer.outputs * taps * layer.channels);
  std::vector<float> bias(layer.outputs);
  std::generate(filter.begin(), filter.end(),
                [&] { return uniform(random) - 0.5f; });
  std::generate(bias.begin(), bias.end(),
                [&] { return uniform(random) - 0.5f; });
  Buffer<float> weights(blocks * nr * (1 + taps * layer.channels));
  xnn_pack_f32_conv_goki_w(1, layer.outputs, taps, layer.channels, nr, 1, 1,
                           filter.data(), bias.data(), nullptr, weights.get(),
                           0, nullptr);

  Buffer<float> input(inputs * layer.channels);
  Buffer<float> zero(layer.channels);
  std::vector<const void*> pointers((pixels + mr) * taps);
  const auto size = static_cast<long>(layer.size);
  for (size_t r = 0; r < (pixels + mr - 1) / mr * mr; r++) {
    const auto pixel = static_cast<long>(std::min(r, pixels - 1));
    for (size_t t = 0; t < taps; t++) {
      const auto pad = static_cast<long>(layer.kernel / 2);
      const auto width = static_cast<long>(side);
      const auto stride = static_cast<long>(layer.stride);
      const long y =
          pixel / width * stride + static_cast<long>(t / layer.kernel) - pad;
      const long x =
          pixel % width * stride + static_cast<long>(t % layer.kernel) - pad;
      const bool inside = y >= 0 && x >= 0 && y < size && x < size;
      pointers[r / mr * mr * taps + t * mr + r % mr] =
          inside
              ? input.get() + static_cast<size_t>(y * size + x) * layer.channels
              : zero.get();
    }
  }

  const xnn_f32_minmax_params params = {
      {-std::numeric_limits<float>::infinity(),
       std::numeric_limits<float>::infinity()}};
  Buffer<float> expected((pixels + mr) * layer.outputs);
  Buffer<float> actual((pixels + mr) * layer.outputs);
  const size_t row_bytes = layer.outputs * sizeof(float);
  const bool is_gemm = taps == 1 && layer.stride == 1;
  const auto dense = [&] {
    for (size_t r = 0; r < pixels; r += mr) {
      const size_t rows = std::min(mr, pixels - r);
      if (is_gemm) {
        (mr == 1 ? set.gemm_row : set.gemm)(
            rows, layer.outputs, layer.channels * sizeof(float),
            input.get() + r * layer.channels, layer.channels * sizeof(float),
            weights.get(), expected.get() + r * layer.outputs, row_bytes,
            nr * sizeof(float), &params);
      } else {
        set.igemm(rows, layer.outputs, layer.channels * sizeof(float),
                  taps * mr * sizeof(void*),
                  reinterpret_cast<const float**>(&pointers[r * taps]),
                  weights.get(), expected.get() + r * layer.outputs, row_bytes,
                  nr * sizeof(float), 0, zero.get(), &params);
      }
    }
  };

  nonzero_gemm gemm = {};
  gemm.kernels = set.kernels;
  gemm.list = set.list;
  gemm.num_taps = taps;
  gemm.num_channels = layer.channels;
  gemm.num_outputs = layer.outputs;
  gemm.weights = weights.get();
  gemm.min = params.scalar.min;
  gemm.max = params.scalar.max;
  gemm.num_sums = mr == 1 ? set.sums_of_row : 1;
  nonzero_gemm_lay_out(&gemm, pixels, kCacheBytes);
  Buffer<uint8_t> lists(inputs * gemm.lists_bytes);
  nonzero_input rows = {};
  rows.rows = input.get();
  rows.row_bytes = layer.channels * sizeof(float);
  rows.pointers = is_gemm ? nullptr : pointers.data();
  rows.tile_rows = mr;
  rows.zero = zero.get();
  rows.lists = lists.get();
  rows.lists_stride = gemm.lists_bytes;
  const nonzero_output output = {actual.get(), row_bytes, nullptr};
  const size_t num_blocks = (pixels + kRowsPerBlock - 1) / kRowsPerBlock;
  Buffer<uint8_t> scratch(
      nonzero_block_scratch_bytes(&gemm, kRowsPerBlock, layer.outputs));
  nonzero_block_work done = {};
  const auto listed = [&] {
    done = {};
    for (size_t p = 0; taps != 1 && p < inputs; p++) {
      nonzero_lists_make(&gemm, input.get() + p * layer.channels,
                         lists.get() + p * gemm.lists_bytes);
    }
    for (size_t b = 0; b < num_blocks; b++) {
      const size_t begin = b * pixels / num_blocks;
      const size_t count = (b + 1) * pixels / num_blocks - begin;
      const nonzero_block_work work =
          nonzero_block_look(&gemm, &rows, begin, count, scratch.get());
      done.num_visits += work.num_visits;
      done.num_nonzeros += work.num_nonzeros;
      nonzero_block_run(&gemm, &rows, &output, begin, count, 0, layer.outputs,
                        scratch.get());
    }
  };

  std::vector<uint32_t> pixel_under_tap(pixels * taps);
  for (size_t r = 0; r < pixels; r++) {
    for (size_t t = 0; t < taps; t++) {
      const auto* row = static_cast<const float*>(
          pointers[r / mr * mr * taps + t * mr + r % mr]);
      pixel_under_tap[r * taps + t] =
          row == zero.get()
              ? NONZERO_NO_PIXEL
              : static_cast<uint32_t>((row - input.get()) /
                                      static_cast<long>(layer.channels));
    }
  }
  const bool can_spread =
      taps > 1 && taps * layer.channels * nr * sizeof(float) <=
                      kCachesOfSpreadWeights * kCacheBytes;
  std::vector<nonzero_readers> readers;
  for (size_t r = 0; can_spread && r < pixels; r += kRowsPerSpreadBlock) {
    readers.emplace_back();
    if (!nonzero_readers_find(&gemm, &pixel_under_tap[r * taps],
                              std::min(kRowsPerSpreadBlock, pixels - r),
                              nullptr, &readers.back())) {
      std::fprintf(stderr, "zero_layers: out of memory\n");
      std::exit(2);
    }
  }
  Buffer<uint8_t> sums(
      nonzero_spread_scratch_bytes(&gemm, kRowsPerSpreadBlock));
  Buffer<float> spread_actual((pixels + mr) * layer.outputs);
  const nonzero_output spread_output = {spread_actual.get(), row_bytes,
                                        nullptr};
  const auto spread = [&] {
    for (size_t b = 0; b < readers.size(); b++) {
      nonzero_spread_run(&gemm, &readers[b], &rows, &spread_output,
                         b * kRowsPerSpreadBlock, 0, layer.outputs, sums.get());
    }
  };

  if (!only.empty()) {
    FillWithZeros(shares[0], inputs * layer.channels, input.get(), random);
    if (only == "dense") {
      dense();
    } else if (only == "lists") {
      listed();
    } else if (only == "spread" && can_spread) {
      spread();
    }
    return only != "spread" || can_spread;
  }
  bool equal = true;
  std::printf("%-8s %2zux%-2zu %4zu->%-4zu %zux%zu/%zu ", set.name, layer.size,
              layer.size, layer.channels, layer.outputs, layer.kernel,
              layer.kernel, layer.stride);
  for (const double share : shares) {
    std::vector<double> dense_times;
    std::vector<double> listed_times;
    std::vector<double> spread_times;
    size_t differences = 0;
    for (int run = 0; run < kRuns; run++) {
      // Other values each time: the processor would learn where lists end.
      FillWithZeros(share, inputs * layer.channels, input.get(), random);
      dense_times.push_back(Milliseconds(dense));
      listed_times.push_back(Milliseconds(listed));
      spread_times.push_back(Milliseconds(spread));
      for (size_t i = 0; i < pixels * layer.outputs; i++) {
        differences += expected[i] != actual[i];
        differences += can_spread && expected[i] != spread_actual[i];
      }
    }
    equal = equal && differences == 0;
    const double time = Median(dense_times);
    ZeroSample sample = {};
    sample.dense_kernel = is_gemm                  ? DenseKernel::kGemm
                          : set.kernels->is_narrow ? DenseKernel::kNarrow
                                                   : DenseKernel::kIndirect;
    sample.dense_channels = static_cast<double>(pixels * taps * layer.channels);
    sample.outputs = static_cast<double>(blocks * nr) / 16;
    sample.dense_time = time * 1e6;
    sample.values = static_cast<double>(inputs * layer.channels);
    sample.visits = static_cast<double>(done.num_visits);
    sample.nonzeros = static_cast<double>(done.num_nonzeros);
    sample.listed_time = Median(listed_times) * 1e6;
    for (const nonzero_readers& block : readers) {
      sample.sources += static_cast<double>(block.num_sources * blocks);
      sample.readers +=
          static_cast<double>(block.num_live_taps) * sample.outputs;
    }
    const double nonzeros = (1 - share) * static_cast<double>(layer.channels);
    sample.source_nonzeros = sample.sources * nonzeros;
    sample.products = sample.readers * nonzeros;
    sample.spread_time = can_spread ? Median(spread_times) * 1e6 : 0;
    samples->push_back(sample);
    std::printf("| %2.0f%% %6.1f GFLOP/s %5.2fx ", share * 100,
                2e-6 * sample.dense_channels *
                    static_cast<double>(layer.outputs) / time,
                time / Median(listed_times));
    if (can_spread) {
      std::printf("%5.2fx, ", time / Median(spread_times));
    }
    std::printf("%zu differ ", differences);
  }
  std::printf("\n");
  std::fflush(stdout);
  for (nonzero_readers& block : readers) {
    nonzero_readers_release(&block);
  }
  return equal;
}

int Main(int argc, char** argv) {
  std::vector<Layer> layers = {
      {56, 64, 64, 3},    {28, 128, 128, 3},  {14, 256, 256, 3},
      {7, 512, 512, 3},   {56, 64, 64, 1},    {56, 64, 256, 1},
      {56, 256, 64, 1},   {28, 128, 512, 1},  {28, 512, 128, 1},
      {14, 256, 1024, 1}, {14, 1024, 256, 1}, {7, 512, 2048, 1},
      {7, 2048, 512, 1},  {28, 16, 16, 3},    {56, 16, 32, 3, 2},
      {28, 32, 32, 3},    {28, 32, 64, 3, 2}, {14, 64, 64, 3},
      {28, 32, 32, 1},    {1, 4096, 4096, 1}};
  std::vector<double> shares = {0.5, 0.65, 0.8};
  std::string only;
  const bool fits_costs = argc > 1 && std::strcmp(argv[1], "--costs") == 0;
  if (fits_costs) {
    // One row is limited by memory: it would tell about that.
    layers.pop_back();
    shares = {0.2, 0.5, 0.8, 0.95};
  } else if (argc > 1) {
    if (std::strcmp(argv[1], "--once") == 0 && argc > 4) {
      only = argv[2];
      argv += 2;
      argc -= 2;
    }
    Layer layer;
    if (std::sscanf(argv[1], "%zux%zux%zux%zux%zu", &layer.size,
                    &layer.channels, &layer.outputs, &layer.kernel,
                    &layer.stride) < 4) {
      std::fprintf(stderr,
                   "usage: zero_layers [--once FORM] "
                   "[SIZExCHANNELSxOUTPUTSxKERNEL[xSTRIDE] [ZEROS...]]\n");
      return 2;
    }
    layers = {layer};
  }
  if (argc > 2 && !fits_costs) {
    shares.clear();
    for (int i = 2; i < argc; i++) {
      shares.push_back(std::atof(argv[i]));
    }
  }
  if (xnn_initialize(nullptr) != xnn_status_success) {
    std::fprintf(stderr, "zero_layers: XNNPACK does not run here\n");
    return 2;
  }
  bool equal = true;
  std::map<std::string, std::vector<ZeroSample>> samples;
  for (const Layer& layer : layers) {
    for (const InstructionSet& set : InstructionSets(layer.outputs)) {
      equal = Measure(set, layer, shares, only, &samples[set.name]) && equal;
    }
  }
  for (const auto& [name, measured] : samples) {
    if (fits_costs) {
      std::printf("%s: %s\n", name.c_str(), ZeroCosts(measured).c_str());
    }
  }
  return equal ? 0 : 1;
}

}  // namespace
}  // namespace tflite_sparse::benchmarks

int main(int argc, char** argv) {
  return tflite_sparse::benchmarks::Main(argc, argv);
}
