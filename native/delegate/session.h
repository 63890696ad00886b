// What one delegate was asked to do, and what it did.

#ifndef TFLITE_SPARSE_NATIVE_DELEGATE_SESSION_H_
#define TFLITE_SPARSE_NATIVE_DELEGATE_SESSION_H_

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "native/delegate/captured_errors.h"
#include "native/delegate/options.h"
#include "native/delegate/profile.h"
#include "native/engine/sparsity.h"
#include "tensorflow/lite/core/c/common.h"
#include "xnnpack.h"

// Global, because the C struct of TFLite's XNNPACK delegate points to it: that
// delegate (patches/tensorflow) calls the hooks.
struct TfLiteSparseSession {
 public:
  explicit TfLiteSparseSession(const tflite_sparse::Options& options)
      : options_(options) {}
  TfLiteSparseSession(const TfLiteSparseSession&) = delete;
  TfLiteSparseSession& operator=(const TfLiteSparseSession&) = delete;

  // Hook: a node of the graph that is being looked at will not be taken.
  void NodeLeft(int node_index, const std::string& reason);

  // Hook: the graph has been looked at; `taken` lists the nodes that XNNPACK
  // will run. Called anew, for the same context, when a graph is resized.
  void Partitioned(TfLiteContext* context, const TfLiteIntArray& taken);

  // Hook: a subgraph is about to be filled.
  void SubgraphCreated(xnn_subgraph_t subgraph) const;

  // Hook: a part of the graph that was looked at last has become a runtime.
  void RuntimeCreated(TfLiteContext* context, xnn_runtime_t runtime);

  // Hook: a runtime has planned its memory.
  void RuntimeSetUp(TfLiteContext* context, xnn_runtime_t runtime);

  // Whether runtimes are to measure their operators.
  bool profiling() const { return options_.profile; }

  // Hook: a runtime has run.
  void Invoked(TfLiteContext* context, xnn_runtime_t runtime);

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

  // A graph that the delegate was applied to: the model, or one of its
  // control-flow subgraphs.
  struct Graph {
    int nodes_total = 0;
    int nodes_taken = 0;
    std::vector<LeftNode> left;
    std::vector<MaskedLayer> layers;
    std::map<xnn_runtime_t, size_t> sparsity_bytes;
  };

  const tflite_sparse::Options options_;
  mutable std::mutex mutex_;
  std::map<int, std::string> reasons_;
  std::map<const TfLiteContext*, Graph> graphs_;
  size_t arena_bytes_ = 0;
  tflite_sparse::Profile profile_;
};

#endif  // TFLITE_SPARSE_NATIVE_DELEGATE_SESSION_H_
