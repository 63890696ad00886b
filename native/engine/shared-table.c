#include "native/engine/shared-table.h"

#include <stddef.h>

struct shared_table* shared_tables_get(struct shared_tables* tables,
                                       const struct shared_table_kind* kind,
                                       const void* key) {
  struct shared_table* table = tables->first;
  while (table != NULL && (table->kind != kind || !kind->has_key(table, key))) {
    table = table->next;
  }
  if (table == NULL) {
    table = kind->make(key);
    if (table == NULL) {
      return NULL;
    }
    table->kind = kind;
    table->next = tables->first;
    tables->first = table;
  }
  table->num_users++;
  return table;
}

void shared_tables_leave(struct shared_tables* tables,
                         struct shared_table* table) {
  if (table == NULL || --table->num_users != 0) {
    return;
  }
  struct shared_table** link = &tables->first;
  while (*link != table) {
    link = &(*link)->next;
  }
  *link = table->next;
  table->kind->release(table);
}
