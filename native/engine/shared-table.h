// Tables that operators find as they are reshaped. Those of one runtime share
// them: a table that follows from the same facts exists once.

#ifndef TFLITE_SPARSE_NATIVE_ENGINE_SHARED_TABLE_H_
#define TFLITE_SPARSE_NATIVE_ENGINE_SHARED_TABLE_H_

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// A kind of tables, each of which begins with a struct shared_table and knows
// its key: the facts that it follows from.
struct shared_table;
struct shared_table_kind {
  bool (*has_key)(const struct shared_table* table, const void* key);
  // NULL when out of memory.
  struct shared_table* (*make)(const void* key);
  void (*release)(struct shared_table* table);
};

struct shared_table {
  struct shared_table* next;
  const struct shared_table_kind* kind;
  size_t num_users;
};

// Of one runtime; not to be used by two threads at once.
struct shared_tables {
  struct shared_table* first;
};

// The table of a key, made if there is none. The caller is one more user of it.
// Returns NULL when out of memory.
struct shared_table* shared_tables_get(struct shared_tables* tables,
                                       const struct shared_table_kind* kind,
                                       const void* key);

// The caller uses the table no more; without users it is gone. NULL is allowed.
void shared_tables_leave(struct shared_tables* tables,
                         struct shared_table* table);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TFLITE_SPARSE_NATIVE_ENGINE_SHARED_TABLE_H_
