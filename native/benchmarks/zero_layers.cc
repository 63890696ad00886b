// Layers that multiply only nonzero activations against upstream's kernels, on
// one thread, for each instruction set that the machine has:
//
//   zero_layers [LAYER [ZEROS...]]
//   zero_layers --costs
//
// LAYER is SIZExCHANNELSxOUTPUTSxKERNEL, such as 28x128x128x3; without one, the
// layers of ResNets and a large fully connected one. ZEROS are shares of zeros
// (0.5 0.65 0.8). Prints, per layer and share, upstream's speed and how many
// times as fast ours is, finding the zeros included: medians of interleaved
// runs. Ends with status 1 if an output differs.
//
// --costs prints, per instruction set, what native/engine/costs.c holds for it:
// the last seven numbers of its line, fitted to all layers.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "native/engine/zeros/nonzero-block.h"
#include "xnnpack/common.h"
#include "xnnpack/gemm.h"
#include "xnnpack/hardware-config.h"
#include "xnnpack/igemm.h"
#include "xnnpack/pack.h"

namespace {

constexpr int kRuns = 11;
constexpr size_t kRowsPerBlock = 128;
constexpr size_t kCacheBytes = 48 * 1024;

struct Layer {
  size_t size;
  size_t channels;
  size_t outputs;
  size_t kernel;
};

// Upstream's kernels for one instruction set, and ours.
struct InstructionSet {
  const char* name;
  const nonzero_kernels* kernels;
  nonzero_list_fn list;
  size_t mr;
  xnn_f32_gemm_minmax_ukernel_fn gemm;
  // For one row.
  xnn_f32_gemm_minmax_ukernel_fn gemm_row;
  xnn_f32_igemm_minmax_ukernel_fn igemm;
};

std::vector<InstructionSet> InstructionSets() {
  std::vector<InstructionSet> sets;
  const xnn_hardware_config* hardware = xnn_init_hardware_config();
  (void)hardware;
#if XNN_ARCH_X86_64
  if (hardware->use_x86_avx512f) {
    sets.push_back({"AVX-512", &kNonzeroAvx512fx32,
                    nonzero_list_for_this_machine(), 7,
                    xnn_f32_gemm_minmax_ukernel_7x32__avx512f_broadcast,
                    xnn_f32_gemm_minmax_ukernel_1x32__avx512f_broadcast,
                    xnn_f32_igemm_minmax_ukernel_7x32__avx512f_broadcast});
  }
  if (hardware->use_x86_fma3 && hardware->use_x86_avx2) {
    sets.push_back({"AVX2", &kNonzeroFma3x16, nonzero_list_avx2, 5,
                    xnn_f32_gemm_minmax_ukernel_5x16__fma3_broadcast,
                    xnn_f32_gemm_minmax_ukernel_1x16__fma3_broadcast,
                    xnn_f32_igemm_minmax_ukernel_5x16__fma3_broadcast_prfm});
  }
#else
  sets.push_back(
      {"NEON", &kNonzeroNeonx8, nonzero_list_neon, 4,
       xnn_f32_gemm_minmax_ukernel_4x8__asm_aarch64_neonfma_cortex_a75_prfm,
       xnn_f32_gemm_minmax_ukernel_1x8__asm_aarch64_neonfma_cortex_a75_prfm,
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

// One measurement: what was done, and how long it took in nanoseconds.
struct Sample {
  bool is_indirect;
  // Channels of rows that the dense kernel multiplied; values that were looked
  // at; what skipping zeros had to do.
  double dense_channels;
  double values;
  nonzero_block_work work;
  // Outputs, in sixteens.
  double outputs;
  double dense_time;
  double sparse_time;
};

bool Measure(const InstructionSet& set, const Layer& layer,
             const std::vector<double>& shares, std::vector<Sample>* samples) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(0, 1);
  const size_t nr = set.kernels->nr;
  const size_t taps = layer.kernel * layer.kernel;
  const size_t pixels = layer.size * layer.size;
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

  Buffer<float> input(pixels * layer.channels);
  Buffer<float> zero(layer.channels);
  std::vector<const void*> pointers((pixels + mr) * taps);
  const auto size = static_cast<long>(layer.size);
  for (size_t r = 0; r < (pixels + mr - 1) / mr * mr; r++) {
    const auto pixel = static_cast<long>(std::min(r, pixels - 1));
    for (size_t t = 0; t < taps; t++) {
      const auto pad = static_cast<long>(layer.kernel / 2);
      const long y = pixel / size + static_cast<long>(t / layer.kernel) - pad;
      const long x = pixel % size + static_cast<long>(t % layer.kernel) - pad;
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
  const auto dense = [&] {
    for (size_t r = 0; r < pixels; r += mr) {
      const size_t rows = std::min(mr, pixels - r);
      if (taps == 1) {
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
  nonzero_gemm_lay_out_lists(&gemm, pixels, kCacheBytes);
  Buffer<uint8_t> lists(pixels * gemm.lists_bytes);
  nonzero_input rows = {};
  rows.rows = input.get();
  rows.row_bytes = layer.channels * sizeof(float);
  rows.pointers = taps == 1 ? nullptr : pointers.data();
  rows.tile_rows = mr;
  rows.zero = zero.get();
  rows.lists = lists.get();
  rows.lists_stride = gemm.lists_bytes;
  const nonzero_output output = {actual.get(), row_bytes, nullptr};
  const size_t num_blocks = (pixels + kRowsPerBlock - 1) / kRowsPerBlock;
  Buffer<uint8_t> scratch(
      nonzero_block_scratch_bytes(&gemm, kRowsPerBlock, layer.outputs));
  nonzero_block_work done = {};
  const auto sparse = [&] {
    done = {};
    for (size_t p = 0; taps != 1 && p < pixels; p++) {
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

  bool equal = true;
  std::printf("%-8s %2zux%-2zu %4zu->%-4zu %zux%zu ", set.name, layer.size,
              layer.size, layer.channels, layer.outputs, layer.kernel,
              layer.kernel);
  for (const double share : shares) {
    for (size_t i = 0; i < pixels * layer.channels; i++) {
      input[i] = uniform(random) < share ? 0.0f : uniform(random);
    }
    std::vector<double> dense_times;
    std::vector<double> sparse_times;
    for (int run = 0; run < kRuns; run++) {
      dense_times.push_back(Milliseconds(dense));
      sparse_times.push_back(Milliseconds(sparse));
    }
    size_t differences = 0;
    for (size_t i = 0; i < pixels * layer.outputs; i++) {
      differences += expected[i] != actual[i];
    }
    equal = equal && differences == 0;
    const double time = Median(dense_times);
    samples->push_back({taps > 1,
                        static_cast<double>(pixels * taps * layer.channels),
                        static_cast<double>(pixels * layer.channels), done,
                        static_cast<double>(blocks * nr) / 16, time * 1e6,
                        Median(sparse_times) * 1e6});
    std::printf("| %2.0f%% %6.1f GFLOP/s %5.2fx, %zu differ ", share * 100,
                2e-6 *
                    static_cast<double>(pixels * layer.outputs * taps *
                                        layer.channels) /
                    time,
                time / Median(sparse_times), differences);
  }
  std::printf("\n");
  std::fflush(stdout);
  return equal;
}

// Time of a dense multiply per channel of a row and 16 outputs in the fastest
// layer: the engine's loops keep weights in cache in the others, too.
double DenseCost(const std::vector<Sample>& samples, bool is_indirect) {
  double least = std::numeric_limits<double>::infinity();
  for (const Sample& sample : samples) {
    if (sample.is_indirect == is_indirect) {
      least = std::min(
          least, sample.dense_time / (sample.dense_channels * sample.outputs));
    }
  }
  return least;
}

// Costs of a nonzero, of it per 16 outputs, of a list, of it per 16 outputs and
// of a value that together explain the times best: least squares of relative
// errors, by coordinate descent, as none can be negative.
std::array<double, 5> SparseCosts(const std::vector<Sample>& samples) {
  std::array<double, 5> costs = {};
  const auto features = [](const Sample& sample) {
    const auto nonzeros = static_cast<double>(sample.work.num_nonzeros);
    const auto visits = static_cast<double>(sample.work.num_visits);
    return std::array<double, 5>{nonzeros / sample.sparse_time,
                                 nonzeros * sample.outputs / sample.sparse_time,
                                 visits / sample.sparse_time,
                                 visits * sample.outputs / sample.sparse_time,
                                 sample.values / sample.sparse_time};
  };
  for (int round = 0; round < 20000; round++) {
    for (size_t c = 0; c < costs.size(); c++) {
      double numerator = 0;
      double denominator = 0;
      for (const Sample& sample : samples) {
        const std::array<double, 5> x = features(sample);
        double rest = 1;
        for (size_t i = 0; i < costs.size(); i++) {
          rest -= i == c ? 0 : costs[i] * x[i];
        }
        numerator += rest * x[c];
        denominator += x[c] * x[c];
      }
      costs[c] = std::max(0.0, numerator / denominator);
    }
  }
  return costs;
}

// In picoseconds, in the order of native/engine/costs.c.
void PrintCosts(const InstructionSet& set, const std::vector<Sample>& samples) {
  std::printf("%s: %.0f, %.0f", set.name, 1e3 * DenseCost(samples, false),
              1e3 * DenseCost(samples, true));
  for (const double cost : SparseCosts(samples)) {
    std::printf(", %.0f", 1e3 * cost);
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Layer> layers = {
      {56, 64, 64, 3},    {28, 128, 128, 3},  {14, 256, 256, 3},
      {7, 512, 512, 3},   {56, 64, 64, 1},    {56, 64, 256, 1},
      {56, 256, 64, 1},   {28, 128, 512, 1},  {28, 512, 128, 1},
      {14, 256, 1024, 1}, {14, 1024, 256, 1}, {7, 512, 2048, 1},
      {7, 2048, 512, 1},  {1, 4096, 4096, 1}};
  std::vector<double> shares = {0.5, 0.65, 0.8};
  const bool fits_costs = argc > 1 && std::strcmp(argv[1], "--costs") == 0;
  if (fits_costs) {
    // One row is limited by memory: it would tell about that.
    layers.pop_back();
    shares = {0.2, 0.5, 0.8, 0.95};
  } else if (argc > 1) {
    Layer layer;
    if (std::sscanf(argv[1], "%zux%zux%zux%zu", &layer.size, &layer.channels,
                    &layer.outputs, &layer.kernel) != 4) {
      std::fprintf(stderr,
                   "usage: zero_layers [SIZExCHANNELSxOUTPUTSxKERNEL "
                   "[ZEROS...]]\n");
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
  bool equal = true;
  for (const InstructionSet& set : InstructionSets()) {
    std::vector<Sample> samples;
    for (const Layer& layer : layers) {
      equal = Measure(set, layer, shares, &samples) && equal;
    }
    if (fits_costs) {
      PrintCosts(set, samples);
    }
  }
  return equal ? 0 : 1;
}
