// Runs a chain of equal layers between equal masks, float32, for counting its
// instructions under emulation: see benchmarks/aarch64_instructions.
//
//   masked_chain KIND SIZE CHANNELS OTHER SPARSITY MODE LAYERS INVOCATIONS
//
// KIND: square (3x3, CHANNELS to CHANNELS), depthwise (3x3), or pointwise (1x1,
// CHANNELS to OTHER and back: two convolutions a layer). MODE: compact, insert,
// off, or dense, which is off without masks. With one more argument, `time`, it
// also prints the fastest invocation's nanoseconds
// (benchmarks/insertion_costs).

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <list>
#include <random>
#include <string>
#include <vector>

#include "native/engine/sparsity.h"
#include "xnnpack.h"

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void Check(xnn_status status, const char* what) {
  if (status != xnn_status_success) {
    std::fprintf(stderr, "%s failed with status %d\n", what, status);
    std::exit(1);
  }
}

class Chain {
 public:
  Chain(size_t size, double sparsity) : size_(size), mask_(size * size, 1.0f) {
    std::mt19937 random(1);
    const auto masked = static_cast<size_t>(
        std::lround(sparsity * static_cast<double>(mask_.size())));
    std::fill_n(mask_.begin(), masked, 0.0f);
    std::shuffle(mask_.begin(), mask_.end(), random);
    Check(xnn_initialize(nullptr), "xnn_initialize");
    Check(xnn_create_subgraph(2, 0, &subgraph_), "xnn_create_subgraph");
  }

  uint32_t Plane(size_t channels, uint32_t external = XNN_INVALID_VALUE_ID,
                 uint32_t flags = 0) {
    return Value({1, size_, size_, channels}, nullptr, external, flags);
  }

  // A convolution, and its mask if there is one; returns the output.
  uint32_t Layer(uint32_t input, size_t from, size_t to, uint32_t kernel,
                 bool depthwise, bool masked, uint32_t output) {
    const uint32_t pad = kernel / 2;
    const uint32_t filter =
        Constant(depthwise ? std::vector<size_t>{1, kernel, kernel, to}
                           : std::vector<size_t>{to, kernel, kernel, from});
    const uint32_t bias = Constant({to});
    const uint32_t computed = masked ? Plane(to) : output;
    Check(depthwise ? xnn_define_depthwise_convolution_2d(
                          subgraph_, pad, pad, pad, pad, kernel, kernel, 1, 1,
                          1, 1, 1, from, -kInfinity, kInfinity, input, filter,
                          bias, computed, 0)
                    : xnn_define_convolution_2d(
                          subgraph_, pad, pad, pad, pad, kernel, kernel, 1, 1,
                          1, 1, 1, from, to, -kInfinity, kInfinity, input,
                          filter, bias, computed, 0),
          "define a convolution");
    if (masked) {
      const uint32_t mask =
          Value({1, size_, size_, 1}, mask_.data(), XNN_INVALID_VALUE_ID, 0);
      Check(xnn_define_binary(subgraph_, xnn_binary_multiply, nullptr, computed,
                              mask, output, 0),
            "define a mask");
    }
    return output;
  }

  void Run(xnn_sparsity_mode mode, size_t channels, int invocations,
           bool is_timed) {
    Check(xnn_subgraph_set_sparsity_mode(subgraph_, mode), "set the mode");
    xnn_runtime_t runtime = nullptr;
    Check(xnn_create_runtime_v2(subgraph_, nullptr, 0, &runtime),
          "create a runtime");
    std::vector<float> input(size_ * size_ * channels + XNN_EXTRA_BYTES, 0.5f);
    std::vector<float> output(input.size());
    const xnn_external_value externals[] = {{0, input.data()},
                                            {1, output.data()}};
    Check(xnn_setup_runtime(runtime, 2, externals), "set the runtime up");
    using Clock = std::chrono::steady_clock;
    Clock::duration fastest = Clock::duration::max();
    for (int i = 0; i < invocations; i++) {
      const Clock::time_point start = Clock::now();
      Check(xnn_invoke_runtime(runtime), "invoke the runtime");
      fastest = std::min(fastest, Clock::now() - start);
    }
    if (is_timed) {
      std::printf(
          "nanoseconds %lld\n",
          static_cast<long long>(std::chrono::nanoseconds(fastest).count()));
    }
    const xnn_masked_layer* layers = nullptr;
    const size_t count = xnn_runtime_get_masked_layers(runtime, &layers);
    for (size_t i = 0; i < count; i++) {
      const char* forms[] = {"compact", "insert", "off"};
      std::printf("%s %zu/%zu\n", forms[layers[i].form], layers[i].kept_pixels,
                  layers[i].total_pixels);
    }
  }

 private:
  uint32_t Value(const std::vector<size_t>& shape, const void* data,
                 uint32_t external, uint32_t flags) {
    uint32_t id = XNN_INVALID_VALUE_ID;
    Check(xnn_define_tensor_value(subgraph_, xnn_datatype_fp32, shape.size(),
                                  shape.data(), data, external, flags, &id),
          "define a value");
    return id;
  }

  uint32_t Constant(const std::vector<size_t>& shape) {
    size_t count = 1;
    for (const size_t dimension : shape) {
      count *= dimension;
    }
    constants_.emplace_back(count, 0.01f);
    return Value(shape, constants_.back().data(), XNN_INVALID_VALUE_ID, 0);
  }

  const size_t size_;
  std::vector<float> mask_;
  std::list<std::vector<float>> constants_;
  xnn_subgraph_t subgraph_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  const bool is_timed = argc == 10 && std::string(argv[9]) == "time";
  if (argc != 9 && !is_timed) {
    std::fprintf(stderr,
                 "usage: masked_chain square|depthwise|pointwise SIZE CHANNELS "
                 "OTHER SPARSITY compact|insert|off|dense LAYERS INVOCATIONS "
                 "[time]\n");
    return 2;
  }
  const std::string kind = argv[1];
  const size_t channels = std::strtoul(argv[3], nullptr, 10);
  const size_t other = std::strtoul(argv[4], nullptr, 10);
  const std::string mode = argv[6];
  const int num_layers = std::atoi(argv[7]);
  const bool masked = mode != "dense";

  Chain chain(std::strtoul(argv[2], nullptr, 10), std::atof(argv[5]));
  uint32_t value = chain.Plane(channels, 0, XNN_VALUE_FLAG_EXTERNAL_INPUT);
  for (int i = 0; i < num_layers; i++) {
    const uint32_t next =
        i + 1 == num_layers
            ? chain.Plane(channels, 1, XNN_VALUE_FLAG_EXTERNAL_OUTPUT)
            : chain.Plane(channels);
    if (kind == "pointwise") {
      const uint32_t wide = chain.Layer(value, channels, other, 1, false,
                                        masked, chain.Plane(other));
      value = chain.Layer(wide, other, channels, 1, false, masked, next);
    } else {
      value = chain.Layer(value, channels, channels, 3, kind == "depthwise",
                          masked, next);
    }
  }
  chain.Run(mode == "compact"  ? xnn_sparsity_mode_compact
            : mode == "insert" ? xnn_sparsity_mode_insert
                               : xnn_sparsity_mode_off,
            channels, std::atoi(argv[8]), is_timed);
  return 0;
}
