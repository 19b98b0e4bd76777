/* The complements of one cart, chosen and borne out in one go: what `engine.merchandising.placing`
 * does step by step, where no pin of the shop stands in the way. */
#include "shared.h"

typedef struct {
    double key;
    int64_t place;
} Ranked;

#define FEW 256
#define LOOKED_AT 4
#define SATURATED 16.0

static int by_key(const void *left, const void *right) {
    const Ranked *first = left, *second = right;
    if (first->key != second->key) return first->key > second->key ? -1 : 1;
    return (first->place > second->place) - (first->place < second->place);
}

/* Sorts as 1 - exp(-strength) does, of which many of the highest are the same number. */
static double key_of(double strength) {
    if (strength < SATURATED) return strength;
    return SATURATED + (-expm1(-strength) + expm1(-SATURATED)) * 0x1p53;
}

/* Leaves out, of `n` items that ascend, those that something in the cart keeps away, unless a rule
 * calls for them or the buyer has bought them. */
static int64_t keep_apart(const Shop *shop, const Call *call, int32_t *items, double *scores,
                          int64_t n) {
    const Rows *kinds[] = {&shop->repelled, &shop->contrary};
    int64_t begin = 0, end = 0, n_away = 0;
    for (int kind = 0; kind < 2; kind++)
        for (int64_t line = 0; line < call->n_cart; line++) {
            if (!row_of(kinds[kind], call->cart[line], &begin, &end)) return BROKEN;
            for (; begin < end; begin++) {
                int32_t item = kinds[kind]->columns[begin], rule;
                int64_t place = first_of(items, 0, n, item);
                if (place == n || items[place] != item || scores[place] < 0) continue;
                int64_t failed = mersalg_strongest(shop->single, shop->several, call->cart,
                                                   call->n_cart, &item, 1, &rule);
                if (failed < 0) return failed;
                int stays = rule >= 0;
                for (int64_t entry = 0; entry < call->n_past && !stays; entry++)
                    stays = call->past_item[entry] == item;
                if (stays) continue;
                scores[place] = -1;
                n_away++;
            }
        }
    if (!n_away) return n;
    int64_t left = 0;
    for (int64_t place = 0; place < n; place++) {
        if (scores[place] < 0) continue;
        items[left] = items[place];
        scores[left++] = scores[place];
    }
    return left;
}

/* Leaves out what the buyer has bought. */
static int64_t keep_new(Workspace *work, const Call *call, int32_t *items, double *scores,
                        int64_t n) {
    int is_new;
    if (table_open(&work->past_items, call->n_past)) return NO_MEMORY;
    for (int64_t entry = 0; entry < call->n_past; entry++) {
        if (call->past_item[entry] < 0) return BROKEN;
        (void)table_add(&work->past_items, call->past_item[entry], 0, &is_new);
    }
    int64_t left = 0;
    for (int64_t place = 0; place < n; place++) {
        if (table_find(&work->past_items, items[place]) >= 0) continue;
        items[left] = items[place];
        scores[left++] = scores[place];
    }
    return left;
}

static int is_free(const Workspace *work, const Shop *shop, const Call *call, int32_t item) {
    if (call->marks[item]) return 0;
    if (shop->family[item] >= 0 && table_find(&work->groups, shop->family[item]) >= 0) return 0;
    return call->dearest < 0 || (double)shop->price[item] <= call->dearest;
}

/* The first of `order` that are free and find room, into `chosen`; where categories give way and all
 * were looked at, those without room follow. Returns how many. */
static int64_t take(const Workspace *work, const Shop *shop, const Call *call, const int32_t *items,
                    const int64_t *order, int64_t n, int is_all, int64_t *chosen) {
    int64_t found = 0, n_crowded = 0, *crowded = chosen + call->limit;
    for (int64_t rank = 0; rank < n && found < call->limit; rank++) {
        int32_t item = items[order[rank]];
        if (item < 0 || item >= shop->n_items) return BROKEN;
        if (!is_free(work, shop, call, item)) continue;
        int64_t held = 0;
        int32_t category = shop->category[item];
        for (int64_t place = 0; place < found && category >= 0; place++)
            held += shop->category[items[chosen[place]]] == category;
        if (held < call->most || category < 0) chosen[found++] = order[rank];
        else if (n_crowded < call->limit) crowded[n_crowded++] = order[rank];
    }
    for (int64_t place = 0; is_all && call->gives_way && place < n_crowded; place++)
        if (found < call->limit) chosen[found++] = crowded[place];
    return found;
}

/* Places of those that are chosen, best first, in `*chosen`; few are looked at where that will do. */
static int64_t choose(Workspace *work, const Shop *shop, const Call *call, const int32_t *items,
                      const double *keys, int64_t n, int64_t **chosen) {
    int64_t limit = call->limit, found = 0, is_all = 0;
    int is_new;
    *chosen = room(&work->lists, (size_t)(2 * limit) + FEW, sizeof(int64_t));
    if (!*chosen || table_open(&work->groups, call->n_blocked)) return NO_MEMORY;
    for (int64_t place = 0; place < call->n_blocked; place++)
        if (call->blocked[place] >= 0)
            (void)table_add(&work->groups, call->blocked[place], 0, &is_new);
    int64_t *order = *chosen + 2 * limit;
    for (int64_t width = LOOKED_AT * limit; width <= FEW && !is_all; width *= LOOKED_AT) {
        int64_t many = mersalg_highest(keys, n, width, order);
        is_all = many >= n;
        found = take(work, shop, call, items, order, many, (int)is_all, *chosen);
        if (found < 0 || found == limit) return found;
    }
    if (is_all) return found;
    Ranked *ranked = room(&work->evidence, (size_t)n, sizeof(Ranked) + sizeof(int64_t));
    if (!ranked) return NO_MEMORY;
    for (int64_t place = 0; place < n; place++) ranked[place] = (Ranked){keys[place], place};
    qsort(ranked, (size_t)n, sizeof(Ranked), by_key);
    order = (int64_t *)(ranked + n);
    for (int64_t place = 0; place < n; place++) order[place] = ranked[place].place;
    return take(work, shop, call, items, order, n, 1, *chosen);
}

/* How many complements, best first, in `*found`, which belongs to `work` until its next call; where
 * they are fewer than asked for, weaker ones have to be looked for elsewhere. Their `score` is how
 * strong their rules are where rules rank. Negative: an error. */
int64_t mersalg_complements(Workspace *work, const Shop *shop, const Network *network,
                            const Call *call, Chosen **found) {
    int32_t *items;
    double *scores, *keys;
    int64_t n, *places;
    if (call->limit < 1 || call->limit > INT32_MAX) return BROKEN;
    if (shop->ranking) {
        n = mersalg_rank(work, shop->ranking, network, call->cart, call->n_cart, call->past_item,
                         call->past_age, call->past_order, call->n_past, (int)call->discovery,
                         &items, &scores);
        if (n > 0) n = keep_apart(shop, call, items, scores, n);
        keys = scores;
    } else {
        n = mersalg_fire(work, shop->single, shop->several, call->cart, call->n_cart, shop->others,
                         &items, &scores);
        if (n > 0 && call->discovery && call->n_past) n = keep_new(work, call, items, scores, n);
        if (n < 0) return n;
        keys = room(&work->sums, (size_t)n, sizeof(double));
        if (!keys) return NO_MEMORY;
        for (int64_t place = 0; place < n; place++) keys[place] = key_of(scores[place]);
    }
    if (n < 0) return n;
    int64_t many = choose(work, shop, call, items, keys, n, &places);
    *found = room(&work->out_marks, (size_t)MAX(many, 0), sizeof(Chosen));
    if (!*found) return NO_MEMORY;
    if (many < call->limit) return many;
    for (int64_t place = 0; place < many; place++) {
        Chosen *each = *found + place;
        *each = (Chosen){scores[places[place]], items[places[place]], -1, -1, 0};
        int64_t failed = mersalg_strongest(shop->single, shop->several, call->cart, call->n_cart,
                                           &each->item, 1, &each->rule);
        if (!failed && each->rule < 0 && shop->ranking)
            failed = mersalg_pairs(shop->ranking, call->cart, call->n_cart, &each->item, 1,
                                   &each->held, &each->joint);
        if (failed < 0) return failed;
    }
    return many;
}
