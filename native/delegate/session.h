// What one delegate was asked to do, and what it did.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_SESSION_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_SESSION_H_

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "native/delegate/captured_errors.h"
#include "native/delegate/options.h"
#include "native/delegate/profile.h"
#include "native/engine/sparsity.h"
#include "tensorflow/lite/core/c/common.h"
#include "tensorflow/lite/delegates/xnnpack/observer.h"
#include "xnnpack.h"

namespace tflite_sparse {

class Session : public TfLiteXNNPackDelegateObserver {
 public:
  explicit Session(const Options& options) : options_(options) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void NodeVisitStarted(TfLiteContext* context) override;
  void NodeVisited(int node_index, bool is_taken) override;
  void Partitioned(TfLiteContext* context,
                   const TfLiteIntArray& taken) override;
  void SubgraphCreated(xnn_subgraph_t subgraph) override;
  void RuntimeCreated(TfLiteContext* context, xnn_runtime_t runtime) override;
  void RuntimeSetUp(TfLiteContext* context, xnn_runtime_t runtime) override;
  void Invoked(TfLiteContext* context, xnn_runtime_t runtime) override;
  bool profiling() const override { return options_.profile; }

  // The report that tflite_sparse.h documents.
  std::string Report() const;

 private:
  struct LeftNode {
    int index;
    std::string op;
    std::string name;
    std::string reason;
  };

  struct MaskedLayer {
    std::string layer;
    xnn_masked_layer facts;
  };

  // What a runtime last said of itself: it may be gone when somebody asks.
  struct Runtime {
    xnn_runtime_t runtime = nullptr;
    size_t sparsity_bytes = 0;
    size_t list_bytes = 0;
    // Tensors that the zero layers write.
    std::vector<std::string> names;
    std::vector<xnn_zero_layer> zero_layers;
  };

  // A graph that the delegate was applied to: the model, or one of its
  // control-flow subgraphs.
  struct Graph {
    int nodes_total = 0;
    int nodes_taken = 0;
    std::vector<LeftNode> left;
    std::vector<MaskedLayer> layers;
    // In the order in which they were created.
    std::vector<Runtime> runtimes;
  };

  Runtime& Find(const TfLiteContext* context, xnn_runtime_t runtime);

  const Options options_;
  mutable std::mutex mutex_;
  // While a node is being looked at.
  std::optional<CapturedErrors> why_left_;
  std::map<int, std::string> reasons_;
  std::map<const TfLiteContext*, Graph> graphs_;
  size_t arena_bytes_ = 0;
  Profile profile_;
};

}  // namespace tflite_sparse

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_SESSION_H_
