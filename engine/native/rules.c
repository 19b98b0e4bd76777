/* The rules a cart fires, one best score for each consequent: as `engine.cross_sell.recommender`. */
#include "shared.h"

/* One rule that fires: above its consequent, below the bits of its strength. */
typedef uint64_t Fires;

#define DIGIT_BITS 11
#define MOST_DIGITS 3

/* Those with the same consequent side by side, consequents ascending, each digit counted before. */
static Fires *by_consequent(Fires *from, Fires *other, int64_t n, int n_digits, int bits,
                            uint32_t starts[MOST_DIGITS][1 << DIGIT_BITS]) {
    uint32_t mask = (1u << bits) - 1;
    for (int digit = 0; digit < n_digits; digit++) {
        uint32_t *start = starts[digit], before = 0;
        for (uint32_t value = 0; value <= mask; value++) {
            uint32_t many = start[value];
            start[value] = before;
            before += many;
        }
        int shift = 32 + digit * bits;
        for (int64_t place = 0; place < n; place++)
            other[start[from[place] >> shift & mask]++] = from[place];
        Fires *held = from;
        from = other;
        other = held;
    }
    return from;
}

/* How many consequents, ascending in `*items`, with the strength of each in `*strengths`: that of
 * its strongest rule, and `others` times that of the rest. The arrays belong to `work` until its
 * next call. `cart` ascends. Negative: an error. */
int64_t mersalg_fire(Workspace *work, const Filed *single, const Filed *several,
                     const int32_t *cart, int64_t n_cart, double others, int32_t **items,
                     double **strengths) {
    const Filed *filed[] = {single, several};
    int64_t begin = 0, end = 0, most = 0, n = 0, n_items = single->rules.n_rows;
    for (int kind = 0; kind < 2; kind++)
        for (int64_t line = 0; line < n_cart; line++) {
            if (!row_of(&filed[kind]->rules, cart[line], &begin, &end)) return BROKEN;
            most += end - begin;
        }
    if (most > INT32_MAX || n_items > INT32_MAX) return NO_MEMORY;
    Fires *fired = room(&work->sums, (size_t)most, 2 * sizeof(Fires));
    *items = room(&work->out_items, (size_t)most, sizeof(int32_t));
    *strengths = room(&work->out_scores, (size_t)most, sizeof(double));
    if (!fired || !*items || !*strengths) return NO_MEMORY;
    int width = 1, n_digits, bits;
    while (width < 31 && n_items > 1LL << width) width++;
    n_digits = (width + DIGIT_BITS - 1) / DIGIT_BITS;
    bits = (width + n_digits - 1) / n_digits;
    uint32_t starts[MOST_DIGITS][1 << DIGIT_BITS], mask = (1u << bits) - 1;
    for (int digit = 0; digit < n_digits; digit++)
        memset(starts[digit], 0, sizeof(uint32_t) << bits);
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
                uint32_t strength;
                memcpy(&strength, from->strength + entry, sizeof strength);
                fired[n++] = (Fires)(uint32_t)item << 32 | strength;
                for (int digit = 0; digit < n_digits; digit++)
                    starts[digit][(uint32_t)item >> digit * bits & mask]++;
            }
        }
    }
    fired = by_consequent(fired, fired + most, n, n_digits, bits, starts);
    int64_t found = 0;
    for (int64_t place = 0; place < n; found++) {
        uint32_t item = (uint32_t)(fired[place] >> 32);
        double total = 0;
        float best = 0;
        for (; place < n && fired[place] >> 32 == item; place++) {
            uint32_t told = (uint32_t)fired[place];
            float strength;
            memcpy(&strength, &told, sizeof strength);
            total += (double)strength;
            best = MAX(best, strength);
        }
        (*items)[found] = (int32_t)item;
        (*strengths)[found] = (double)best + others * (total - (double)best);
    }
    return found;
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
                begin = first_of(from->rules.columns, begin, end, items[place]);
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
