/* Sums over the units of several days, each counted once: as `engine.tracking.rollups.shared`. */
#include "shared.h"

/* `n` clusters; sums of x and m, and of their products in two halves: low and high 64 bits. */
typedef struct {
    int64_t n, x, m;
    uint64_t xx_low, xm_low, mm_low;
    int64_t xx_high, xm_high, mm_high;
} Sums;

typedef struct {
    int64_t n, x, m;
    __int128 xx, xm, mm;
} Exact;

static inline void count(Exact *sums, int64_t x, int64_t m) {
    sums->n++;
    sums->x += x;
    sums->m += m;
    sums->xx += (__int128)x * x;
    sums->xm += (__int128)x * m;
    sums->mm += (__int128)m * m;
}

static Sums told(const Exact *of) {
    return (Sums){of->n, of->x, of->m, (uint64_t)of->xx, (uint64_t)of->xm, (uint64_t)of->mm,
                  (int64_t)(of->xx >> 64), (int64_t)(of->xm >> 64), (int64_t)(of->mm >> 64)};
}

#define MOST_COLUMNS 15
#define AHEAD 16

/* Rows of one day, added to those of their units. `units` has `n_columns + 1` numbers for each of
 * `n_units`: units lie far apart, so all of one lies together. Negative: an error. */
int64_t mersalg_add_units(int64_t n_rows, const int32_t *unit, int64_t n_units, int64_t n_columns,
                          const int64_t *const *x, const int64_t *m, int64_t *units) {
    if (n_columns < 1 || n_columns > MOST_COLUMNS) return BROKEN;
    int64_t stride = n_columns + 1;
    for (int64_t row = 0; row < n_rows; row++)
        if (unit[row] < 0 || unit[row] >= n_units) return BROKEN;
    for (int64_t row = 0; row < n_rows; row++) {
        if (row + AHEAD < n_rows) __builtin_prefetch(units + unit[row + AHEAD] * stride, 1);
        int64_t *own = units + unit[row] * stride;
        own[n_columns] += m[row];
        for (int64_t k = 0; k < n_columns; k++) own[k] += x[k][row];
    }
    return OK;
}

/* Into `out`, for each of the columns x: the sums over units. Negative: an error. */
int64_t mersalg_unit_sums(int64_t n_units, int64_t n_columns, const int64_t *units, Sums *out) {
    if (n_columns < 1 || n_columns > MOST_COLUMNS) return BROKEN;
    int64_t stride = n_columns + 1;
    Exact sums[MOST_COLUMNS] = {{0}};
    for (int64_t at = 0; at < n_units; at++) {
        const int64_t *own = units + at * stride;
        if (!own[n_columns]) continue; /* not of these rows: each has a checkout */
        for (int64_t k = 0; k < n_columns; k++) count(sums + k, own[k], own[n_columns]);
    }
    for (int64_t k = 0; k < n_columns; k++) out[k] = told(sums + k);
    return OK;
}
