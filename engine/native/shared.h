/* What the kernels share: memory that grows, a table by item, networks.
 *
 * Every array comes with its length, and whatever is read from one is checked before it is used as
 * a place in another: a broken model gives an error, never a read outside of it.
 */
#ifndef MERSALG_SHARED_H
#define MERSALG_SHARED_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, NO_MEMORY = -1, BROKEN = -2 };

#define NEVER 999.0f
#define LANES 16 /* Layers of a network are as wide as a multiple of this. */

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* A buffer that grows and is kept from call to call. */
typedef struct {
    void *data;
    size_t size;
} Buffer;

static inline void *room(Buffer *buffer, size_t n, size_t each) {
    if (each && n > (SIZE_MAX / 4) / each) return NULL;
    size_t wanted = n * each + 64;
    if (buffer->size < wanted) {
        size_t size = MAX(wanted, buffer->size * 2);
        free(buffer->data);
        buffer->data = malloc(size);
        buffer->size = buffer->data ? size : 0;
    }
    return buffer->data;
}

/* Rows of a sparse matrix; `indptr` has `n_rows + 1` places. */
typedef struct {
    int64_t n_rows, n_entries;
    const int64_t *indptr;
    const int32_t *columns;
} Rows;

/* 0 where row `row` does not exist or does not lie inside of the matrix. */
static inline int row_of(const Rows *rows, int64_t row, int64_t *begin, int64_t *end) {
    if (row < 0 || row >= rows->n_rows) return 0;
    *begin = rows->indptr[row];
    *end = rows->indptr[row + 1];
    return 0 <= *begin && *begin <= *end && *end <= rows->n_entries;
}

/* The first place in `low..high`, where `values` ascend, that is not below `value`; else `high`. */
static inline int64_t first_of(const int32_t *values, int64_t low, int64_t high, int32_t value) {
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (values[middle] < value) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* `cart` ascends. */
static inline int in_cart(const int32_t *cart, int64_t n_cart, int32_t item) {
    int64_t place = first_of(cart, 0, n_cart, item);
    return place < n_cart && cart[place] == item;
}

/* Open addressing from a number >= 0 to its place in an array of entries, in order of arrival. */
typedef struct {
    int32_t key, place; /* key -1 where free */
} Slot;

typedef struct {
    Buffer buffer;
    Slot *slots;
    uint32_t mask;
} Table;

static inline int table_open(Table *table, int64_t most) {
    uint32_t size = 64;
    if (most > (1 << 28)) return NO_MEMORY;
    while ((int64_t)size < 2 * most) size *= 2;
    table->slots = room(&table->buffer, size, sizeof(Slot));
    if (!table->slots) return NO_MEMORY;
    table->mask = size - 1;
    memset(table->slots, 0xff, size * sizeof(Slot));
    return OK;
}

static inline Slot *slot_of(const Table *table, int32_t key) {
    uint32_t slot = ((uint32_t)key * 2654435769u) >> 7 & table->mask;
    while (table->slots[slot].key != key && table->slots[slot].key >= 0)
        slot = (slot + 1) & table->mask;
    return table->slots + slot;
}

/* -1 where `key` is not in the table, as -1 never is. */
static inline int32_t table_find(const Table *table, int32_t key) {
    const Slot *slot = slot_of(table, key);
    return slot->key == key ? slot->place : -1; /* a free slot's place is -1 */
}

/* The place of `key`, which is `n` (and `*is_new`) where it comes for the first time. */
static inline int32_t table_add(Table *table, int32_t key, int32_t n, int *is_new) {
    Slot *slot = slot_of(table, key);
    *is_new = slot->key != key;
    if (*is_new) *slot = (Slot){key, n};
    return slot->place;
}

/* Standardise, rectified layers, one output. Widths are multiples of LANES, what is beyond the true
 * width is zero; the features are as many as they are. */
#define MOST_LAYERS 8
#define WIDEST 4096
typedef struct {
    int64_t n_layers, n_features;
    const float *mean, *scale; /* scale: one over it */
    int64_t width[MOST_LAYERS];
    /* (width of the layer before, width); of the last, if it is not the first: (width before,). */
    const float *weights[MOST_LAYERS];
    const float *biases[MOST_LAYERS];
    /* Of each LANES columns of a layer: the first row with a weight, and one beyond the last. */
    const int32_t *spans[MOST_LAYERS];
    double slope, intercept;
} Network;

/* A feature as the network takes it; what lies far outside of training is not trusted. */
static inline float standard(const Network *network, int feature, float value) {
    float scaled = (value - network->mean[feature]) * network->scale[feature];
    return scaled < -8.0f ? -8.0f : scaled > 8.0f ? 8.0f : scaled;
}

int network_fits(const Network *network, int n_features);

/* out[0..width) += sum of value[k] * weights[row[k]][0..width) */
void add_rows(int64_t n, const int32_t *row, const float *value, const float *weights,
              int64_t width, float *out);

/* The output from the sums of the first layer, which are overwritten. `spare` has room for twice
 * WIDEST. */
float network_output(const Network *network, float *first, float *spare);

double likelihood_of(const Network *network, float raw);

/* All that calls of one thread keep. */
typedef struct {
    Table items, groups, past_items, past_groups, pool;
    Buffer evidence, group_evidence, habits, group_habits, scores, chosen, sums, lists, orders;
    Buffer out_items, out_scores, out_rules, out_marks;
} Workspace;

/* Places of the `limit` highest of `score`, in no order; of those equal to the least one taken, those
 * of the lowest keys. Returns how many, or an error. */
int64_t highest(int64_t n, const float *score, const int32_t *key, int64_t limit, int32_t *found,
                Buffer *spare);

void sort_ascending(int32_t *values, int64_t n, Buffer *spare);

/* What an item is by itself, in one line of a processor's cache: candidates lie far apart. */
typedef struct {
    int32_t group;
    float share, log_price, margin, popular_log, recent_log, latest_log, share_log;
    float unused[8];
} RankedItem;

/* `engine.ranking.ranking.Ranking`; every array of items has `near.n_rows` places. */
typedef struct {
    Rows near;
    const float *near_weight;
    const int32_t *near_joint;
    Rows groups;
    const float *group_weight;
    Rows leaders;
    const float *n_orders;
    const RankedItem *items;
    const int32_t *popular;
    int64_t n_popular;
    float n_orders_all;
} Ranking;

Workspace *mersalg_open(void);

#endif
