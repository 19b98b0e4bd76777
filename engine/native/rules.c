/* The rules a cart fires, one best score for each consequent: as `engine.cross_sell.recommender`. */
#include "shared.h"

/* Rules by their first antecedent item. `rest` has `width` columns, `n_items` fills short rows. */
typedef struct {
    Rows rules; /* its columns are the consequents */
    const float *strength;
    const int32_t *position;
    const int32_t *rest;
    int64_t width;
} Filed;

typedef struct {
    double total;
    float best;
    int32_t rule;
} Sum;

/* How many consequents, ascending in `*items`, with the score and the strongest rule of each; the
 * arrays belong to `work` until its next call. `cart` ascends. Negative: an error. */
int64_t mersalg_fire(Workspace *work, const Filed *single, const Filed *several,
                     const int32_t *cart, int64_t n_cart, double others, int32_t **items,
                     double **scores, int32_t **rules) {
    const Filed *filed[] = {single, several};
    int64_t begin = 0, end = 0, most = 0, n = 0, n_items = single->rules.n_rows;
    int is_new;
    for (int kind = 0; kind < 2; kind++)
        for (int64_t line = 0; line < n_cart; line++) {
            if (!row_of(&filed[kind]->rules, cart[line], &begin, &end)) return BROKEN;
            most += end - begin;
        }
    most = MIN(most, n_items);
    Sum *sums = room(&work->sums, (size_t)most, sizeof(Sum));
    *items = room(&work->out_items, (size_t)most, sizeof(int32_t));
    *scores = room(&work->out_scores, (size_t)most, sizeof(double));
    *rules = room(&work->out_rules, (size_t)most, sizeof(int32_t));
    if (!sums || !*items || !*scores || !*rules || table_open(&work->items, most)) return NO_MEMORY;
    for (int kind = 0; kind < (n_cart > 1 ? 2 : 1); kind++) {
        const Filed *from = filed[kind];
        for (int64_t line = 0; line < n_cart; line++) {
            (void)row_of(&from->rules, cart[line], &begin, &end);
            for (int64_t entry = begin; entry < end; entry++) {
                int fires = 1;
                for (int64_t k = 0; k < from->width && fires; k++) {
                    int32_t other = from->rest[entry * from->width + k];
                    fires = other == n_items || in_cart(cart, n_cart, other);
                }
                if (!fires) continue;
                int32_t item = from->rules.columns[entry];
                if (item < 0 || item >= n_items) return BROKEN;
                Sum *sum = sums + table_add(&work->items, item, (int32_t)n, &is_new);
                float strength = from->strength[entry];
                if (is_new) {
                    (*items)[n++] = item;
                    *sum = (Sum){0, -1, -1};
                }
                sum->total += (double)strength;
                if (strength > sum->best) {
                    sum->best = strength;
                    sum->rule = from->position[entry];
                }
            }
        }
    }
    sort_ascending(*items, n, &work->chosen);
    for (int64_t place = 0; place < n; place++) {
        const Sum *sum = sums + table_find(&work->items, (*items)[place]);
        double best = (double)sum->best;
        (*scores)[place] = -expm1(-(best + others * (sum->total - best)));
        (*rules)[place] = sum->rule;
    }
    return n;
}

/* First entry of `rules` in `begin..end`, where consequents ascend, that is not below `item`. */
static int64_t first_of(const Rows *rules, int64_t begin, int64_t end, int32_t item) {
    while (begin < end) {
        int64_t middle = begin + (end - begin) / 2;
        if (rules->columns[middle] < item) begin = middle + 1;
        else end = middle;
    }
    return begin;
}

/* The strongest rule for each of `items` that the cart fires, into `rules`, -1 where it fires none;
 * the others are not looked at. Consequents ascend within the rules of each first item. */
int64_t mersalg_strongest(const Filed *single, const Filed *several, const int32_t *cart,
                          int64_t n_cart, const int32_t *items, int64_t n, int32_t *rules) {
    const Filed *filed[] = {single, several};
    int64_t begin = 0, end = 0, n_items = single->rules.n_rows;
    for (int64_t place = 0; place < n; place++) {
        float best = -1;
        rules[place] = -1;
        for (int kind = 0; kind < (n_cart > 1 ? 2 : 1); kind++) {
            const Filed *from = filed[kind];
            for (int64_t line = 0; line < n_cart; line++) {
                if (!row_of(&from->rules, cart[line], &begin, &end)) return BROKEN;
                begin = first_of(&from->rules, begin, end, items[place]);
                for (; begin < end && from->rules.columns[begin] == items[place]; begin++) {
                    if (from->strength[begin] <= best) continue;
                    int fires = 1;
                    for (int64_t k = 0; k < from->width && fires; k++) {
                        int32_t other = from->rest[begin * from->width + k];
                        fires = other == n_items || in_cart(cart, n_cart, other);
                    }
                    if (!fires) continue;
                    best = from->strength[begin];
                    rules[place] = from->position[begin];
                }
            }
        }
    }
    return OK;
}

/* The places of the `limit` highest of `scores` into `places`, highest first and of equal ones the
 * first; how many these are. None is a NaN. */
int64_t mersalg_highest(const double *scores, int64_t n, int64_t limit, int64_t *places) {
    int64_t held = 0;
    if (limit < 1) return 0;
    for (int64_t place = 0; place < n; place++) {
        double score = scores[place];
        if (held == limit && score <= scores[places[held - 1]]) continue;
        int64_t at = held < limit ? held++ : held - 1;
        for (; at > 0 && scores[places[at - 1]] < score; at--) places[at] = places[at - 1];
        places[at] = place;
    }
    return held;
}
