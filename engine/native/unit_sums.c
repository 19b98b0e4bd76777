/* Sums over the units of several days, each counted once: as `engine.tracking.rollups.shared`. */
#include "shared.h"

/* `n` clusters; sums of x and m, and of their products in two halves: low and high 64 bits. */
typedef struct {
    int64_t n, x, m;
    uint64_t xx_low, xm_low, mm_low;
    int64_t xx_high, xm_high, mm_high;
} Sums;

typedef struct {
    int64_t x;
    __int128 xx, xm;
} Exact;

/* Numbers of one day: bytes of each, negative where it has a sign, and where they lie, which may be
 * anywhere in a longer piece of bytes. */
typedef struct {
    int64_t kind;
    const void *values;
} Column;

typedef uint8_t U1;
typedef uint16_t __attribute__((aligned(1))) U2;
typedef uint32_t __attribute__((aligned(1))) U4;
typedef int32_t __attribute__((aligned(1))) I4;
typedef int64_t __attribute__((aligned(1))) I8;

#define MOST_COLUMNS 15
#define BLOCK 8192
#define SMALL (1 << 24) /* BLOCK products of such numbers fit into 63 bits */

#define ADD(type)                                                                        \
    for (int64_t row = begin; row < end; row++)                                          \
        own[unit[row] - lowest] += (int64_t)((const type *)column->values)[row]

static int add(int64_t *own, const Column *column, const I4 *unit, int64_t lowest, int64_t begin,
               int64_t end) {
    switch (column->kind) {
    case 1: ADD(U1); return 1;
    case 2: ADD(U2); return 1;
    case 4: ADD(U4); return 1;
    case -4: ADD(I4); return 1;
    case -8: ADD(I8); return 1;
    default: return 0;
    }
}

static void count(Exact *sums, const int64_t *x, const int64_t *m, int64_t n, int64_t largest_m) {
    int64_t largest = largest_m, total = 0, xx = 0, xm = 0;
    for (int64_t at = 0; at < n; at++) {
        largest = MAX(largest, x[at] < 0 ? -(x[at] + 1) : x[at]);
        total += x[at];
    }
    sums->x += total;
    if (largest < SMALL) {
        for (int64_t at = 0; at < n; at++) {
            xx += x[at] * x[at];
            xm += x[at] * m[at];
        }
        sums->xx += xx;
        sums->xm += xm;
        return;
    }
    for (int64_t at = 0; at < n; at++) {
        sums->xx += (__int128)x[at] * x[at];
        sums->xm += (__int128)x[at] * m[at];
    }
}

/* Whether units do not go back; negative where one is none of `n_units`. */
static int64_t ascends(const I4 *unit, int64_t n, int64_t n_units) {
    int64_t does = 1;
    for (int64_t row = 0; row < n; row++) {
        if (unit[row] < 0 || unit[row] >= n_units) return BROKEN;
        if (row && unit[row] < unit[row - 1]) does = 0;
    }
    return does;
}

/* Into `out`, for each of the columns x: the sums over units, their rows of all days added up.
 *
 * `unit` has the unit of each row, by day; `columns` by day the columns x and then m, which is not
 * 0 in any row. Days whose units ascend are gone through together, block after block of the units,
 * so that what is added up stays at hand. Negative: an error. */
int64_t mersalg_unit_sums(int64_t n_days, const int64_t *n_rows, const I4 *const *unit,
                          int64_t n_units, int64_t n_columns, const Column *columns, Sums *out) {
    if (n_days < 0 || n_units < 0 || n_columns < 1 || n_columns > MOST_COLUMNS) return BROKEN;
    int64_t size = MIN(n_units, BLOCK), answer = NO_MEMORY, stride = n_columns + 1;
    for (int64_t day = 0; day < n_days; day++) {
        int64_t does = ascends(unit[day], n_rows[day], n_units);
        if (does < 0) return BROKEN;
        if (!does) size = n_units;
    }
    Exact sums[MOST_COLUMNS] = {{0}};
    int64_t n = 0, total_m = 0;
    __int128 mm = 0;
    int64_t *table = calloc((size_t)(size ? size : 1) * stride, sizeof *table);
    int64_t *reached = calloc(n_days ? n_days : 1, sizeof *reached);
    if (!table || !reached) goto end;
    answer = BROKEN;
    for (int64_t lowest = 0; lowest < n_units; lowest += size) {
        int64_t n_here = MIN(size, n_units - lowest), beyond = lowest + n_here;
        for (int64_t day = 0; day < n_days; day++) {
            int64_t begin = reached[day], end = begin;
            if (n_here == n_units)
                end = n_rows[day];
            else
                while (end < n_rows[day] && unit[day][end] < beyond) end++;
            reached[day] = end;
            if (begin == end) continue;
            for (int64_t k = 0; k < stride; k++)
                if (!add(table + k * size, columns + day * stride + k, unit[day], lowest, begin,
                         end))
                    goto end;
        }
        const int64_t *m = table + n_columns * size;
        for (int64_t from = 0; from < n_here; from += BLOCK) {
            int64_t n_part = MIN(BLOCK, n_here - from), largest = 0;
            for (int64_t at = from; at < from + n_part; at++) {
                n += m[at] != 0; /* 0: not of these rows */
                total_m += m[at];
                mm += (__int128)m[at] * m[at];
                largest = MAX(largest, m[at]);
            }
            for (int64_t k = 0; k < n_columns; k++)
                count(sums + k, table + k * size + from, m + from, n_part, largest);
        }
        memset(table, 0, (size_t)size * stride * sizeof *table);
    }
    for (int64_t k = 0; k < n_columns; k++)
        out[k] = (Sums){n,
                        sums[k].x,
                        total_m,
                        (uint64_t)sums[k].xx,
                        (uint64_t)sums[k].xm,
                        (uint64_t)mm,
                        (int64_t)(sums[k].xx >> 64),
                        (int64_t)(sums[k].xm >> 64),
                        (int64_t)(mm >> 64)};
    answer = OK;
end:
    free(table);
    free(reached);
    return answer;
}

/* Units of several days under numbers from 0, in the order in which they come: `numbers` has those
 * of all rows, day after day. `number_of`, of `n_known` places, is 0 everywhere before and after.
 * How many units there are. Negative: an error. */
int64_t mersalg_number_units(int64_t n_days, const int64_t *n_rows, const I4 *const *unit,
                             int64_t n_known, int32_t *number_of, int32_t *numbers) {
    int64_t n = 0, at = 0;
    for (int64_t day = 0; day < n_days; day++)
        if (ascends(unit[day], n_rows[day], n_known) < 0) return BROKEN;
    for (int64_t day = 0; day < n_days; day++)
        for (int64_t row = 0; row < n_rows[day]; row++) {
            int32_t *own = number_of + unit[day][row];
            if (!*own) *own = (int32_t)++n;
            numbers[at++] = *own - 1;
        }
    for (int64_t day = 0; day < n_days; day++)
        for (int64_t row = 0; row < n_rows[day]; row++) number_of[unit[day][row]] = 0;
    return n;
}
