#include "native/engine/row-state.h"

#include <stdbool.h>
#include <stddef.h>

#include "native/engine/row-plan.h"
#include "native/engine/shared-table.h"
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

void xnn_row_state_release(struct xnn_operator* op) {
  if (op->row_state != NULL) {
    if (op->row_state->table != NULL) {
      shared_tables_leave(op->tables, &op->row_state->table->shared);
    }
    xnn_release_memory(op->row_state->zero_sums);
    xnn_release_memory(op->row_state);
  }
}
