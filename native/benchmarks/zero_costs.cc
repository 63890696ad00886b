#include "native/benchmarks/zero_costs.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

namespace tflite_sparse::benchmarks {
namespace {

// A measured time, and how often what has a cost was done in it.
struct Equation {
  std::vector<double> counts;
  double time;
};

// Time of a dense multiply per channel of a row and 16 outputs in the fastest
// layer: the engine's loops keep weights in cache in the others, too.
double DenseCost(const std::vector<ZeroSample>& samples, DenseKernel kernel) {
  double least = std::numeric_limits<double>::infinity();
  for (const ZeroSample& sample : samples) {
    if (sample.dense_kernel == kernel) {
      least = std::min(
          least, sample.dense_time / (sample.dense_channels * sample.outputs));
    }
  }
  return least;
}

double Predict(const Equation& equation, const std::vector<double>& costs) {
  double time = 0;
  for (size_t i = 0; i < costs.size(); i++) {
    time += costs[i] * equation.counts[i];
  }
  return time;
}

// Least squares of relative errors, by coordinate descent, as no cost can be
// negative.
std::vector<double> Solve(const std::vector<Equation>& equations,
                          size_t num_costs) {
  std::vector<double> costs(num_costs, 0);
  for (int round = 0; round < 20000; round++) {
    for (size_t c = 0; c < num_costs; c++) {
      double numerator = 0;
      double denominator = 0;
      for (const Equation& equation : equations) {
        const double x = equation.counts[c] / equation.time;
        const double rest =
            1 - Predict(equation, costs) / equation.time + costs[c] * x;
        numerator += rest * x;
        denominator += x * x;
      }
      costs[c] = std::max(0.0, numerator / denominator);
    }
  }
  return costs;
}

double RootMeanSquareError(const std::vector<Equation>& equations,
                           const std::vector<double>& costs) {
  double sum = 0;
  for (const Equation& equation : equations) {
    const double error = Predict(equation, costs) / equation.time - 1;
    sum += error * error;
  }
  return std::sqrt(sum / static_cast<double>(equations.size()));
}

}  // namespace

std::string ZeroCosts(const std::vector<ZeroSample>& samples) {
  std::vector<Equation> listed;
  for (const ZeroSample& sample : samples) {
    listed.push_back(
        {{sample.nonzeros, sample.nonzeros * sample.outputs, sample.visits,
          sample.visits * sample.outputs, sample.values},
         sample.listed_time});
  }
  const std::vector<double> list_costs = Solve(listed, 5);
  std::vector<Equation> spread;
  for (const ZeroSample& sample : samples) {
    if (sample.spread_time > 0) {
      spread.push_back({{sample.source_nonzeros, sample.products,
                         sample.sources, sample.readers},
                        sample.spread_time});
    }
  }
  const std::vector<double> spread_costs = Solve(spread, 4);
  const double indirect = DenseCost(samples, DenseKernel::kIndirect);
  const double narrow = DenseCost(samples, DenseKernel::kNarrow);
  std::vector<double> all = {DenseCost(samples, DenseKernel::kGemm), indirect,
                             std::isfinite(narrow) ? narrow : indirect};
  all.insert(all.end(), list_costs.begin(), list_costs.end());
  all.insert(all.end(), spread_costs.begin(), spread_costs.end());
  std::string text;
  for (const double cost : all) {
    text +=
        (text.empty() ? "" : ", ") + std::to_string(std::lround(1e3 * cost));
  }
  char errors[80];
  std::snprintf(errors, sizeof(errors), " (times off by %.0f%%, %.0f%%)",
                100 * RootMeanSquareError(listed, list_costs),
                100 * RootMeanSquareError(spread, spread_costs));
  return text + errors;
}

}  // namespace tflite_sparse::benchmarks
