#include "native/engine/row-state.h"

#include <stdbool.h>
#include <stddef.h>

#include "native/engine/row-plan.h"
#include "native/engine/subgraph-sparsity.h"
#include "xnnpack/allocator.h"
#include "xnnpack/operator.h"

bool row_state_create(struct xnn_operator* op, const struct row_plan* plan) {
  op->row_state = xnn_allocate_zero_memory(sizeof(struct row_state));
  if (op->row_state == NULL) {
    return false;
  }
  op->row_state->plan = plan;
  return true;
}

void xnn_row_state_release(struct row_state* state) {
  if (state != NULL) {
    xnn_release_memory(state->live_taps);
    xnn_release_memory(state->source);
    xnn_release_memory(state);
  }
}
