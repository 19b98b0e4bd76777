/* How likely upgrades are, for one cart: what `engine.upsell.signals` and `likelihood` do in NumPy.
 *
 * The numbers are put down in the order of `QUESTION_NAMES` and `SIBLING_NAMES`.
 */
#include "shared.h"

#define N_QUESTION_SIGNALS 43
#define N_SIBLING_SIGNALS 37
#define PRIOR 1.0f
#define FADING (-1.0f / 60.0f)

typedef struct {
    const int32_t *item;
    const float *age;
    int64_t n;
    float level, since;
} Past;

typedef struct {
    float times, fresh, age;
} Bought;

/* The key of a brand in a table; -1, which stands in none, of a code that cannot be. */
static int32_t key_of(int32_t brand) { return brand < -1 || brand == INT32_MAX ? -1 : brand + 1; }

typedef struct {
    float value;
    int32_t place;
} Ranked;

static int by_value(const void *left, const void *right) {
    const Ranked *first = left, *second = right;
    if (first->value != second->value) return first->value < second->value ? -1 : 1;
    return (first->place > second->place) - (first->place < second->place);
}

static float times_moved(const Upgrades *model, int32_t item, int32_t next) {
    int64_t begin = 0, end = 0;
    if (!row_of(&model->moved, item, &begin, &end)) return 0;
    int64_t place = first_of(model->moved.columns, begin, end, next);
    return place < end && model->moved.columns[place] == next ? model->times[place] : 0;
}

/* What one question asks and what is found of it; `rows` of it are `sibling[0..n)`. */
typedef struct {
    const int32_t *sibling;
    const float *ratio;
    int64_t n;
    int32_t base;
    int64_t n_bought;
    int32_t *bought_items;
    Bought *bought;
    float *brands;
    float category_fresh, category_level, level_gap, base_times;
    float totals[WINDOWS];
} Question;

static int look_back(Workspace *work, const Upgrades *model, const Past *past,
                     const int32_t *category, Question *asked, float *f) {
    const LadderItem *items = model->items, *base = items + asked->base;
    int64_t same = 0;
    for (int64_t entry = 0; entry < past->n; entry++) same += category[entry] == base->category;
    if (base->category < 0) same = 0;
    asked->bought = room(&work->habits, (size_t)same, sizeof(Bought));
    asked->bought_items = room(&work->orders, (size_t)same, sizeof(int32_t));
    asked->brands = room(&work->group_habits, (size_t)same, sizeof(float));
    if (!asked->bought || !asked->bought_items || !asked->brands) return NO_MEMORY;
    if (table_open(&work->past_items, same) || table_open(&work->past_groups, same))
        return NO_MEMORY;
    double fresh_sum = 0, level_sum = 0, ladder_fresh = 0, above = 0, below = 0, gap = 0;
    double last_steps = 0, last_levels = 0;
    float entries = 0, n_above = 0, last = NEVER, n_last = 0;
    int64_t n = 0, n_brands = 0, left = same;
    int is_new;
    for (int64_t entry = 0; left > 0; entry++) {
        if (category[entry] != base->category) continue;
        left--;
        const LadderItem *item = items + past->item[entry];
        float age = past->age[entry], fresh = exp2f(age * FADING);
        fresh_sum += (double)fresh;
        level_sum += (double)(fresh * item->level);
        if (key_of(item->brand) < 0) return BROKEN;
        int32_t place =
            table_add(&work->past_groups, key_of(item->brand), (int32_t)n_brands, &is_new);
        if (is_new) asked->brands[n_brands++] = 0;
        asked->brands[place] += fresh;
        place = table_add(&work->past_items, past->item[entry], (int32_t)n, &is_new);
        if (is_new) {
            asked->bought[place] = (Bought){0, 0, INFINITY};
            asked->bought_items[n++] = past->item[entry];
        }
        Bought *bought = asked->bought + place;
        bought->times += 1;
        bought->fresh += fresh;
        bought->age = MIN(bought->age, age);
        if (item->ladder != base->ladder) continue;
        float steps = item->tier - base->tier, levels = item->level - base->level;
        entries += 1;
        ladder_fresh += (double)fresh;
        gap += (double)(fresh * levels);
        above += steps > 0 ? (double)fresh : 0;
        below += steps < 0 ? (double)fresh : 0;
        n_above += steps > 0;
        if (age < last) {
            last = age;
            n_last = 0;
            last_steps = last_levels = 0;
        }
        if (age == last) {
            n_last += 1;
            last_steps += (double)steps;
            last_levels += (double)levels;
        }
    }
    asked->n_bought = n;
    float distinct = 0;
    for (int64_t place = 0; place < n; place++)
        distinct += items[asked->bought_items[place]].ladder == base->ladder;
    float prior_up = (base->ups + 1.7f) / (base->moves + 10), many = (float)ladder_fresh + PRIOR;
    int32_t own = table_find(&work->past_items, asked->base);
    int32_t brand = table_find(&work->past_groups, key_of(base->brand));
    asked->category_fresh = (float)fresh_sum;
    asked->category_level = (float)level_sum / (asked->category_fresh + PRIOR);
    asked->level_gap = (float)gap / many;
    asked->base_times = own < 0 ? 0 : asked->bought[own].times;
    f[0] = log1pf(entries);
    f[1] = log1pf((float)ladder_fresh);
    f[2] = ((float)above + prior_up * PRIOR) / many;
    f[3] = ((float)ladder_fresh - (float)above - (float)below) / many;
    f[4] = (float)below / many;
    f[5] = log1pf(last);
    f[6] = (float)last_steps / MAX(n_last, 1);
    f[7] = asked->level_gap;
    f[8] = (float)last_levels / MAX(n_last, 1);
    f[9] = log1pf(distinct);
    f[10] = log1pf(asked->base_times);
    f[11] = log1pf(own < 0 ? 0 : asked->bought[own].fresh);
    f[12] = log1pf(own < 0 ? NEVER : asked->bought[own].age);
    f[13] = asked->category_level - base->level;
    f[14] = log1pf(asked->category_fresh);
    f[15] = past->level;
    f[16] = log1pf((float)past->n);
    f[17] = log1pf(past->since);
    f[18] = base->level;
    f[19] = base->tier;
    f[21] = log1pf((float)asked->n);
    f[30] = base->promotion;
    f[32] = base->promotion - base->usual;
    f[34] = prior_up;
    f[35] = (base->downs + 1.7f) / (base->moves + 10);
    f[36] = log1pf(base->moves);
    f[37] = (brand < 0 ? 0 : asked->brands[brand]) / (asked->category_fresh + PRIOR);
    f[39] = base->log_price;
    f[40] = (n_above + prior_up) / (entries + 1);
    f[41] = log1pf(n_above);
    return OK;
}

/* The rest of the question's signals, which speak of its better items. */
static void look_ahead(Workspace *work, const Upgrades *model, Question *asked, float *f) {
    const LadderItem *items = model->items, *base = items + asked->base;
    double totals[WINDOWS] = {0}, promotion = 0, gap = 0, fresh = 0;
    float tiers_above = 0, least = NEVER;
    for (int64_t row = 0; row < asked->n; row++)
        for (int window = 0; window < WINDOWS; window++)
            totals[window] += (double)items[asked->sibling[row]].orders[window];
    for (int window = 0; window < WINDOWS; window++) asked->totals[window] = (float)totals[window];
    for (int64_t row = 0; row < asked->n; row++) {
        const LadderItem *item = items + asked->sibling[row];
        float heavy = item->orders[1] / MAX(asked->totals[1], 1);
        promotion += (double)(heavy * item->promotion);
        gap += (double)(heavy * (item->promotion - item->usual));
        tiers_above = MAX(tiers_above, item->tier - base->tier);
        int32_t bought = table_find(&work->past_items, asked->sibling[row]);
        if (bought < 0) continue;
        fresh += (double)asked->bought[bought].fresh;
        least = MIN(least, asked->bought[bought].age);
    }
    f[20] = tiers_above;
    for (int window = 0; window < WINDOWS; window++) {
        f[22 + window] = log1pf(base->orders[window]);
        f[26 + window] = log1pf(asked->totals[window]) - f[22 + window];
    }
    f[31] = (float)promotion;
    f[33] = (float)gap;
    f[38] = (float)fresh;
    f[42] = log1pf(least);
}

static float output(const Network *network, int n, const float *f, float *sums) {
    float value[N_QUESTION_SIGNALS];
    int32_t row[N_QUESTION_SIGNALS];
    for (int k = 0; k < n; k++) {
        row[k] = k;
        value[k] = standard(network, k, f[k]);
    }
    memcpy(sums, network->biases[0], (size_t)network->width[0] * sizeof(float));
    add_rows(n, row, value, network->weights[0], network->width[0], sums);
    return network_output(network, sums, sums + WIDEST);
}

/* Of each row: rank by price, rank by popularity, moves from the base item and from the past. */
static int compare_rows(Workspace *work, const Upgrades *model,
                        const Question *asked, float **found) {
    int64_t n = asked->n;
    const LadderItem *items = model->items, *base = items + asked->base;
    float *told = room(&work->evidence, (size_t)n, 4 * sizeof(float));
    Ranked *ranked = room(&work->lists, (size_t)n, sizeof(Ranked));
    if (!told || !ranked) return NO_MEMORY;
    for (int kind = 0; kind < 2; kind++) {
        for (int64_t row = 0; row < n; row++) {
            float value = kind ? -items[asked->sibling[row]].orders[2] : logf(asked->ratio[row]);
            ranked[row] = (Ranked){value, (int32_t)row};
        }
        qsort(ranked, (size_t)n, sizeof(Ranked), by_value);
        for (int64_t rank = 0; rank < n; rank++) told[4 * ranked[rank].place + kind] = (float)rank;
    }
    for (int64_t row = 0; row < n; row++) {
        double from_past = 0;
        for (int64_t place = 0; place < asked->n_bought; place++) {
            int32_t item = asked->bought_items[place];
            if (items[item].ladder != base->ladder) continue;
            from_past += (double)asked->bought[place].fresh *
                         (double)times_moved(model, item, asked->sibling[row]);
        }
        told[4 * row + 2] = times_moved(model, asked->base, asked->sibling[row]);
        told[4 * row + 3] = (float)from_past;
    }
    *found = told;
    return OK;
}

static int weigh_rows(Workspace *work, const Upgrades *model, const Network *which,
                      const Past *past, const Question *asked, float *sums, double *scores) {
    const LadderItem *items = model->items, *base = items + asked->base;
    float *told, n = (float)asked->n, n_same = 0;
    int failed = compare_rows(work, model, asked, &told);
    if (failed) return failed;
    double moved_total = 0, from_past_total = 0, top = -INFINITY, total = 0;
    for (int64_t row = 0; row < asked->n; row++) {
        moved_total += (double)told[4 * row + 2];
        from_past_total += (double)told[4 * row + 3];
        n_same += fabsf(items[asked->sibling[row]].log_amount - base->log_amount) < 0.02f;
    }
    for (int64_t row = 0; row < asked->n; row++) {
        const LadderItem *item = items + asked->sibling[row];
        float f[N_SIBLING_SIGNALS], ratio = logf(asked->ratio[row]);
        float steps = item->tier - base->tier, amount = item->log_amount - base->log_amount;
        float level_gap = item->level - base->level - asked->level_gap;
        int32_t bought = table_find(&work->past_items, asked->sibling[row]);
        int32_t brand = table_find(&work->past_groups, key_of(item->brand));
        float sibling_brand = brand < 0 ? 0 : asked->brands[brand];
        int known = isfinite(amount);
        f[0] = ratio;
        f[1] = steps;
        f[2] = item->level;
        f[3] = log1pf(told[4 * row]);
        f[4] = log1pf(n);
        for (int window = 0; window < WINDOWS; window++) {
            f[5 + window] =
                logf((item->orders[window] + 0.5f) / (asked->totals[window] + 0.5f * n));
            f[9 + window] = log1pf(item->orders[window]);
        }
        float long_share = expf(f[7]);
        f[13] = f[5] - f[7];
        f[14] = log1pf(told[4 * row + 2]);
        f[15] = logf((told[4 * row + 2] + 3 * long_share) / ((float)moved_total + 3));
        f[16] = logf((told[4 * row + 3] + long_share) / ((float)from_past_total + 1));
        f[17] = item->brand == base->brand && item->brand >= 0;
        f[18] = sibling_brand / (asked->category_fresh + PRIOR);
        f[19] = log1pf(sibling_brand);
        f[20] = level_gap;
        f[21] = fabsf(level_gap);
        f[22] = item->level - asked->category_level;
        f[23] = item->level - past->level;
        f[24] = log1pf(bought < 0 ? 0 : asked->bought[bought].times);
        f[25] = bought < 0 ? 0 : asked->bought[bought].fresh;
        f[26] = log1pf(bought < 0 ? NEVER : asked->bought[bought].age);
        f[27] = item->promotion;
        f[28] = item->promotion - item->usual;
        f[29] = known ? amount : 0;
        f[30] = known && fabsf(amount) < 0.02f;
        f[31] = known;
        f[32] = n_same / MAX(n, 1);
        f[33] = log1pf(asked->base_times);
        f[34] = steps == 1;
        f[35] = ratio * ratio;
        f[36] = log1pf(told[4 * row + 1]);
        scores[row] = (double)output(which, N_SIBLING_SIGNALS, f, sums) * which->slope;
        top = MAX(top, scores[row]);
    }
    for (int64_t row = 0; row < asked->n; row++) total += scores[row] = exp(scores[row] - top);
    for (int64_t row = 0; row < asked->n; row++) scores[row] /= total;
    return OK;
}

/* P(upgrade | customer, base) x P(item | upgrade) of each row, in `*scores`, which belongs to `work`
 * until its next call. Negative: an error. */
int64_t mersalg_upgrades(Workspace *work, const Upgrades *model, const Network *whether,
                         const Network *which, const int32_t *past_item, const float *past_age,
                         int64_t n_past, const int32_t *base, const int64_t *indptr,
                         int64_t n_bases, const int32_t *sibling, const float *ratio,
                         int64_t n_rows, double **scores) {
    int64_t n_items = model->moved.n_rows;
    const LadderItem *items = model->items;
    if (!network_fits(whether, N_QUESTION_SIGNALS) || !network_fits(which, N_SIBLING_SIGNALS))
        return BROKEN;
    *scores = room(&work->out_scores, (size_t)n_rows, sizeof(double));
    int32_t *category = room(&work->scores, (size_t)n_past, sizeof(int32_t));
    float *sums = room(&work->sums, 3 * WIDEST, sizeof(float));
    if (!*scores || !category || !sums) return NO_MEMORY;
    for (int64_t row = 0; row < n_rows; row++)
        if (sibling[row] < 0 || sibling[row] >= n_items) return BROKEN;
    for (int64_t entry = 0; entry < n_past; entry++) {
        if (past_item[entry] < 0 || past_item[entry] >= n_items) return BROKEN;
        __builtin_prefetch(items + past_item[entry]);
    }
    double level = 0;
    Past past = {past_item, past_age, n_past, 0, NEVER};
    if (n_past) past.since = INFINITY;
    for (int64_t entry = 0; entry < n_past; entry++) {
        category[entry] = items[past_item[entry]].category;
        level += (double)items[past_item[entry]].level;
        past.since = MIN(past.since, past_age[entry]);
    }
    past.level = (float)(level / (double)MAX(n_past, 1));
    for (int64_t place = 0; place < n_bases; place++) {
        int64_t begin = indptr[place], end = indptr[place + 1];
        if (base[place] < 0 || base[place] >= n_items || begin < 0 || begin > end || end > n_rows)
            return BROKEN;
        Question asked = {.sibling = sibling + begin, .ratio = ratio + begin, .n = end - begin,
                          .base = base[place]};
        float f[N_QUESTION_SIGNALS];
        int failed = look_back(work, model, &past, category, &asked, f);
        if (failed) return failed;
        look_ahead(work, model, &asked, f);
        double up = likelihood_of(whether, output(whether, N_QUESTION_SIGNALS, f, sums));
        failed = weigh_rows(work, model, which, &past, &asked, sums, *scores + begin);
        if (failed) return failed;
        for (int64_t row = begin; row < end; row++) (*scores)[row] *= up;
    }
    return n_rows;
}

static int by_bound(const void *left, const void *right) {
    const Sibling *first = left, *second = right;
    if (first->bound != second->bound) return first->bound > second->bound ? -1 : 1;
    return (first->row > second->row) - (first->row < second->row);
}

static double as_offered(const Ladders *ladders, double score) {
    if (ladders->offer_slope == 1.0 && ladders->offer_intercept == 0.0) return score;
    double inside = score < 1e-9 ? 1e-9 : score > 1 - 1e-9 ? 1 - 1e-9 : score;
    double odds = ladders->offer_slope * log(inside / (1 - inside)) + ladders->offer_intercept;
    odds = odds < -30 ? -30 : odds > 30 ? 30 : odds;
    return 1.0 / (1.0 + exp(-odds));
}

/* All that could be bought instead of the bases, offered or not: questions as `mersalg_upgrades`
 * takes them. Returns how many rows; `*n_asked` of the bases have any, `place` of each. */
static int64_t gather(const Ladders *ladders, const Base *bases, int64_t n_bases, int64_t *n_asked,
                      int64_t *place, int32_t *base, int64_t *indptr, int32_t *sibling,
                      float *ratio) {
    int64_t n_items = ladders->n_items, begin = 0, end = 0, n = 0, asked = 0;
    for (int64_t each = 0; each < n_bases; each++) {
        const Base *from = bases + each;
        int32_t family = ladders->family[from->item];
        if (family < 0 || from->paid <= 0) continue;
        (void)row_of(&ladders->members, family, &begin, &end);
        int64_t first = n;
        for (int64_t entry = begin; entry < end; entry++) {
            int32_t item = ladders->members.columns[entry];
            if (item < 0 || item >= n_items) return BROKEN;
            double times = (double)ladders->price[item] / (double)from->paid;
            if (ladders->tier[item] <= ladders->tier[from->item] ||
                ladders->price[item] <= from->paid || times < ladders->least_ratio ||
                times > ladders->most_ratio)
                continue;
            sibling[n] = item;
            ratio[n++] = (float)times;
        }
        if (n == first) continue;
        place[asked] = each;
        base[asked] = (int32_t)from->item;
        indptr[asked++] = first;
    }
    indptr[asked] = n;
    *n_asked = asked;
    return n;
}

/* Where no model speaks: the item's share among both's buyers, less for each step and its price.
 * A sibling nobody has bought yet is taken to win one buyer in ten. */
static double by_share(const Ladders *ladders, const Base *from, int32_t item) {
    double bought = (double)ladders->bought[item];
    double share = (bought + 1) / (bought + (double)ladders->bought[from->item] + 10);
    double ratio = (double)ladders->price[item] / (double)from->paid;
    return share / ratio * pow(0.6, ladders->tier[item] - ladders->tier[from->item] - 1.0);
}

/* The better items that may be offered, in `*found`, which belongs to `work` until its next call: of
 * the highest bound first, at most `most`. `marks` is 0 where an item may be offered. */
int64_t mersalg_siblings(Workspace *work, const Ladders *ladders, const Models *models,
                         const int32_t *past_item, const float *past_age, int64_t n_past,
                         const Base *bases, int64_t n_bases, const uint8_t *marks, int64_t most,
                         Sibling **found) {
    int64_t begin = 0, end = 0, widest = 0, n_asked = 0, n = 0;
    for (int64_t each = 0; each < n_bases; each++) {
        if (bases[each].item < 0 || bases[each].item >= ladders->n_items) return BROKEN;
        int32_t family = ladders->family[bases[each].item];
        if (family < 0) continue;
        if (!row_of(&ladders->members, family, &begin, &end)) return BROKEN;
        widest += end - begin;
    }
    int32_t *sibling = room(&work->out_items, (size_t)widest, sizeof(int32_t) + sizeof(float));
    int64_t *place = room(&work->out_rules, (size_t)n_bases + 1, 3 * sizeof(int64_t));
    *found = room(&work->out_marks, (size_t)widest, sizeof(Sibling));
    if (!sibling || !place || !*found) return NO_MEMORY;
    float *ratio = (float *)(sibling + widest);
    int64_t *indptr = place + n_bases + 1;
    int32_t *base = (int32_t *)(indptr + n_bases + 1);
    int64_t rows = gather(ladders, bases, n_bases, &n_asked, place, base, indptr, sibling, ratio);
    int any = 0;
    for (int64_t row = 0; row < rows && !any; row++) any = !marks[sibling[row]];
    if (rows < 0 || !any) return rows < 0 ? rows : 0;
    double *scores = NULL;
    if (models) {
        if (models->upgrades->moved.n_rows < ladders->n_items) return BROKEN;
        int64_t failed = mersalg_upgrades(work, models->upgrades, models->whether, models->which,
                                          past_item, past_age, n_past, base, indptr, n_asked,
                                          sibling, ratio, rows, &scores);
        if (failed < 0) return failed;
    }
    for (int64_t asked = 0; asked < n_asked; asked++) {
        const Base *from = bases + place[asked];
        int64_t base_cost = ladders->cost[from->item];
        for (int64_t row = indptr[asked]; row < indptr[asked + 1]; row++) {
            int32_t item = sibling[row];
            int64_t difference = ladders->price[item] - from->paid, cost = ladders->cost[item];
            int known = models && cost >= 0 && base_cost >= 0;
            int64_t worth = difference - (known ? cost - base_cost : 0);
            if (marks[item] || worth <= 0) continue;
            double score = models ? as_offered(ladders, scores[row]) : by_share(ladders, from, item);
            (*found)[n++] = (Sibling){item, place[asked], difference, worth, row, score,
                                      score * (double)worth * from->quantity};
        }
    }
    qsort(*found, (size_t)n, sizeof(Sibling), by_bound);
    return MIN(n, most);
}
