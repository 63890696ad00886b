#include "native/engine/zeros/nonzero-places.h"

#include <stdint.h>

// Whether bit i is set in m, and how many bits below it are.
#define BIT(m, i) ((m) >> (i) & 1)
#define BELOW(m, i)                                              \
  (BIT((m) << 1, i) * ((i) > 0) + BIT((m) << 2, i) * ((i) > 1) + \
   BIT((m) << 3, i) * ((i) > 2) + BIT((m) << 4, i) * ((i) > 3) + \
   BIT((m) << 5, i) * ((i) > 4) + BIT((m) << 6, i) * ((i) > 5) + \
   BIT((m) << 7, i) * ((i) > 6))
#define PLACE(m, i) ((uint64_t)(BIT(m, i) * (i)) << 8 * BELOW(m, i))
#define PLACES(m)                                                        \
  (PLACE(m, 1) | PLACE(m, 2) | PLACE(m, 3) | PLACE(m, 4) | PLACE(m, 5) | \
   PLACE(m, 6) | PLACE(m, 7))
#define COUNT(m) (BELOW(m, 7) + BIT(m, 7))

#define FOR_4(f, m) f(m), f((m) + 1), f((m) + 2), f((m) + 3)
#define FOR_16(f, m) \
  FOR_4(f, m), FOR_4(f, (m) + 4), FOR_4(f, (m) + 8), FOR_4(f, (m) + 12)
#define FOR_64(f, m) \
  FOR_16(f, m), FOR_16(f, (m) + 16), FOR_16(f, (m) + 32), FOR_16(f, (m) + 48)
#define FOR_256(f) FOR_64(f, 0), FOR_64(f, 64), FOR_64(f, 128), FOR_64(f, 192)

const struct nonzero_places kNonzeroPlaces = {
    .places = {FOR_256(PLACES)},
    .count = {FOR_256(COUNT)},
};
