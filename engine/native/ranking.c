/* Candidates of one cart and their scores: what `engine.ranking` does for a batch, in NumPy. */
#include "shared.h"

enum {
    WEIGHT, WEIGHT_ROOT, WEIGHT_LOG, CONFIDENCE, CONFIDENCE_LOG, NOISY_OR, NOISY_OR_LOG, COSINE_LOG,
    LIFT_LOG, GROUP_WEIGHT, GROUP_WEIGHT_LOG, GROUP_TO_ITEM_LOG, GROUP_HELD, POPULAR, RECENT,
    LATEST, TREND, SHARE, SHARE_LOG, BOUGHT, TIMES, DECAYED, DECAYED_LOG, OFTEN, LAST, LAST_WEEK,
    LAST_MONTH, ALIKE, ALIKE_LOG, ALIKE_EACH, REPEATED, DUE, DUE_NOW, GROUP_TIMES, GROUP_BOUGHT,
    GROUP_OFTEN, GROUP_DECAYED, GROUP_DECAYED_LOG, GROUP_LAST, GROUP_LAST_WEEK, GROUP_LAST_MONTH,
    LOYALTY, LOYALTY_LOG, N_ORDERS, N_ITEMS, SINCE, CART_SIZE, WEIGHT_BY_SIZE, PRICE, PRICE_STEP,
    PRICE_FAR, MARGIN, N_FEATURES
};

#define BY_WEIGHT 200
#define BY_COUNTS 100
#define BY_HABIT 250
#define GROUPS 25
#define DOUBT 10.0f
#define LITTLE 0.01f
#define Z_95 1.959963984540054

#define AHEAD 12
#define SOON(ADDRESS) __builtin_prefetch(ADDRESS)

typedef struct {
    const int32_t *item;
    const float *age;
    const int64_t *order;
    int64_t n;
} Past;

typedef struct {
    float weight, confidence, cosine, lift;
    double doubt; /* product of 1 - confidence */
} Called;

typedef struct {
    float times, decayed, last, first, alike;
} Habit;

typedef struct {
    int64_t n_items, n_groups, n_evidence, n_group_evidence, n_habits, n_group_habits;
    int32_t *called, *group_called, *used, *group_used;
    Called *evidence;
    float *group_weight;
    Habit *habits, *group_habits;
    float n_orders, since, log_price, cart_size;
} Scene;

static int look_at_cart(Workspace *work, const Ranking *model, const int32_t *cart, int64_t n_cart,
                        Scene *scene) {
    int64_t begin = 0, end = 0, total = 0, calls = 0;
    for (int64_t line = 0; line < n_cart; line++) {
        if (!row_of(&model->near, cart[line], &begin, &end)) return BROKEN;
        total += end - begin;
        int32_t group = model->items[cart[line]].group;
        if (group >= 0 && !row_of(&model->groups, group, &begin, &end)) return BROKEN;
        if (group >= 0) calls += end - begin;
    }
    int64_t most = MIN(total, scene->n_items), most_groups = MIN(calls, scene->n_groups);
    scene->called = room(&work->lists, (size_t)(most + most_groups + 1), sizeof(int32_t));
    scene->evidence = room(&work->evidence, (size_t)most, sizeof(Called));
    scene->group_weight = room(&work->group_evidence, (size_t)most_groups, sizeof(float));
    if (!scene->called || !scene->evidence || !scene->group_weight) return NO_MEMORY;
    if (table_open(&work->items, most) || table_open(&work->groups, most_groups)) return NO_MEMORY;
    scene->group_called = scene->called + most;
    int64_t n = 0, n_groups = 0;
    int is_new;
    for (int64_t line = 0; line < n_cart; line++) {
        float n_held = model->n_orders[cart[line]];
        (void)row_of(&model->near, cart[line], &begin, &end);
        for (int64_t entry = begin; entry < end; entry++) {
            int32_t item = model->near.columns[entry];
            if (item < 0 || item >= scene->n_items) return BROKEN;
            if (entry + AHEAD < end) SOON(model->n_orders + model->near.columns[entry + AHEAD]);
            int32_t place = table_add(&work->items, item, (int32_t)n, &is_new);
            Called *called = scene->evidence + place;
            if (is_new) {
                scene->called[n++] = item;
                *called = (Called){0, 0, 0, 0, 1};
            }
            called->weight += model->near_weight[entry];
            if (model->near_joint[entry] <= 0) continue;
            float joint = (float)model->near_joint[entry], confidence = joint / (n_held + DOUBT);
            float chance = 1 / MAX(n_held * model->n_orders[item], 1);
            called->doubt *= 1.0 - (double)confidence;
            called->confidence = MAX(called->confidence, confidence);
            called->cosine += joint * sqrtf(chance);
            called->lift = MAX(called->lift, (joint - 1) * model->n_orders_all * chance);
        }
        int32_t group = model->items[cart[line]].group;
        int seen = group < 0;
        for (int64_t other = 0; other < line && !seen; other++)
            seen = model->items[cart[other]].group == group;
        if (seen) continue;
        (void)row_of(&model->groups, group, &begin, &end);
        for (int64_t entry = begin; entry < end; entry++) {
            int32_t called = model->groups.columns[entry];
            if (called < 0 || called >= scene->n_groups) return BROKEN;
            int32_t place = table_add(&work->groups, called, (int32_t)n_groups, &is_new);
            if (is_new) {
                scene->group_called[n_groups++] = called;
                scene->group_weight[place] = 0;
            }
            scene->group_weight[place] += model->group_weight[entry];
        }
    }
    scene->n_evidence = n;
    scene->n_group_evidence = n_groups;
    scene->cart_size = (float)n_cart;
    return OK;
}

static void add_habit(Habit *habit, int is_new, float age, float fresh, float alike) {
    if (is_new) *habit = (Habit){0, 0, INFINITY, -INFINITY, 0};
    habit->times += 1;
    habit->decayed += fresh;
    habit->last = MIN(habit->last, age);
    habit->first = MAX(habit->first, age);
    habit->alike += alike;
}

static int look_at_past(Workspace *work, const Ranking *model, const int32_t *cart, int64_t n_cart,
                        const Past *past, Scene *scene) {
    int64_t most = MIN(past->n, scene->n_items), most_groups = MIN(past->n, scene->n_groups);
    scene->habits = room(&work->habits, (size_t)most, sizeof(Habit));
    scene->group_habits = room(&work->group_habits, (size_t)most_groups, sizeof(Habit));
    scene->used = room(&work->orders, (size_t)(most + most_groups + 1), sizeof(int32_t));
    if (!scene->habits || !scene->group_habits || !scene->used) return NO_MEMORY;
    if (table_open(&work->past_items, most) || table_open(&work->past_groups, most_groups))
        return NO_MEMORY;
    scene->group_used = scene->used + most;
    double prices = 0;
    int64_t n = 0, n_groups = 0, end;
    scene->n_orders = 0;
    scene->since = NEVER;
    int is_new;
    for (int64_t begin = 0; begin < past->n; begin = end) {
        int64_t shared = 0;
        for (end = begin; end < past->n && past->order[end] == past->order[begin]; end++) {
            if (past->item[end] < 0 || past->item[end] >= scene->n_items) return BROKEN;
            SOON(model->items + past->item[end]);
            shared += in_cart(cart, n_cart, past->item[end]);
        }
        float age = past->age[begin];
        float fresh = exp2f(age * (-1.0f / 45.0f)), fading = exp2f(age * (-1.0f / 120.0f));
        float alike = (float)((double)shared / sqrt((double)(end - begin) + 1.0)) * fading;
        scene->n_orders += 1;
        scene->since = MIN(scene->since, age);
        for (int64_t entry = begin; entry < end; entry++) {
            int32_t item = past->item[entry], group = model->items[item].group;
            int32_t place = table_add(&work->past_items, item, (int32_t)n, &is_new);
            if (is_new) scene->used[n++] = item;
            add_habit(scene->habits + place, is_new, age, fresh, alike);
            prices += (double)model->items[item].log_price;
            if (group < 0) continue;
            if (group >= scene->n_groups) return BROKEN;
            place = table_add(&work->past_groups, group, (int32_t)n_groups, &is_new);
            if (is_new) scene->group_used[n_groups++] = group;
            add_habit(scene->group_habits + place, is_new, age, fresh, 0);
        }
    }
    scene->n_habits = n;
    scene->n_group_habits = n_groups;
    scene->log_price = (float)(prices / (double)MAX(past->n, 1));
    return OK;
}

/* Candidates that may stand in the pool before those are left out that may not. */
static int64_t gather_pool(Workspace *work, const Ranking *model, const int32_t *cart,
                           int64_t n_cart, int discovery, const Scene *scene, int32_t **pool) {
    int64_t widest = MAX(MAX(scene->n_evidence, scene->n_habits),
                         scene->n_group_evidence + scene->n_group_habits);
    float *score = room(&work->scores, (size_t)widest, sizeof(float));
    int32_t *key = room(&work->out_rules, (size_t)widest, 2 * sizeof(int32_t));
    if (!score || !key) return NO_MEMORY;
    int32_t *found = key + widest;
    int64_t most = BY_WEIGHT + BY_COUNTS + BY_HABIT + model->n_popular, begin = 0, end = 0, n = 0;
    /* The groups the cart, or the customer's habit, calls for most. */
    int64_t n_groups = scene->n_group_evidence;
    for (int64_t place = 0; place < n_groups; place++) {
        key[place] = scene->group_called[place];
        score[place] = scene->group_weight[place];
    }
    for (int64_t place = 0; place < scene->n_group_habits; place++) {
        float habit = 0.5f * scene->group_habits[place].decayed / (scene->n_orders + 5.0f);
        int32_t known = table_find(&work->groups, scene->group_used[place]);
        if (known >= 0) {
            score[known] += habit;
        } else {
            key[n_groups] = scene->group_used[place];
            score[n_groups++] = habit;
        }
    }
    int64_t many = highest(n_groups, score, key, GROUPS, found, &work->sums);
    if (many < 0) return many;
    for (int64_t place = 0; place < many; place++) {
        if (!row_of(&model->leaders, key[found[place]], &begin, &end)) return BROKEN;
        most += end - begin;
    }
    *pool = room(&work->out_items, (size_t)most, sizeof(int32_t));
    if (!*pool || table_open(&work->pool, most)) return NO_MEMORY;
#define PUT(ITEM)                                                                               \
    do {                                                                                        \
        int32_t item_ = (ITEM);                                                                 \
        int is_new_;                                                                            \
        if (item_ < 0 || item_ >= scene->n_items) return BROKEN;                                \
        (void)table_add(&work->pool, item_, (int32_t)n, &is_new_);                              \
        if (is_new_ && !in_cart(cart, n_cart, item_) &&                                         \
            !(discovery && table_find(&work->past_items, item_) >= 0))                          \
            (*pool)[n++] = item_;                                                               \
    } while (0)
    for (int64_t place = 0; place < many; place++) {
        (void)row_of(&model->leaders, key[found[place]], &begin, &end);
        for (; begin < end; begin++) PUT(model->leaders.columns[begin]);
    }
    for (int64_t place = 0; place < model->n_popular; place++) PUT(model->popular[place]);
    for (int64_t place = 0; place < scene->n_evidence; place++)
        score[place] = scene->evidence[place].weight;
    many = highest(scene->n_evidence, score, scene->called, BY_WEIGHT, found, &work->sums);
    if (many < 0) return many;
    for (int64_t place = 0; place < many; place++) PUT(scene->called[found[place]]);
    for (int64_t place = 0; place < scene->n_evidence; place++)
        score[place] = (float)-scene->evidence[place].doubt;
    many = highest(scene->n_evidence, score, scene->called, BY_COUNTS, found, &work->sums);
    if (many < 0) return many;
    for (int64_t place = 0; place < many; place++) PUT(scene->called[found[place]]);
    if (!discovery) {
        for (int64_t place = 0; place < scene->n_habits; place++)
            score[place] = scene->habits[place].decayed + scene->habits[place].alike;
        many = highest(scene->n_habits, score, scene->used, BY_HABIT, found, &work->sums);
        if (many < 0) return many;
        for (int64_t place = 0; place < many; place++) PUT(scene->used[found[place]]);
    }
#undef PUT
    sort_ascending(*pool, n, &work->sums);
    return n;
}

static void say_evidence(const Called *called, float size, float *f) {
    static const Called nothing = {0, 0, 0, 0, 1};
    const Called *told = called ? called : &nothing;
    float weight = told->weight, noisy_or = (float)-log(told->doubt);
    f[WEIGHT] = weight;
    f[WEIGHT_ROOT] = weight < 0 ? -sqrtf(-weight) : sqrtf(weight);
    f[WEIGHT_LOG] = logf(MAX(weight, 0) + 0.003f);
    f[CONFIDENCE] = told->confidence;
    f[CONFIDENCE_LOG] = logf(told->confidence + LITTLE);
    f[NOISY_OR] = noisy_or;
    f[NOISY_OR_LOG] = logf(noisy_or + LITTLE);
    f[COSINE_LOG] = logf(told->cosine + LITTLE);
    f[LIFT_LOG] = log1pf(told->lift);
    f[WEIGHT_BY_SIZE] = weight * size;
}

static void say_habit(const Habit *habit, float n_orders, float *f) {
    static const Habit nothing = {0, 0, NEVER, 0, 0};
    const Habit *told = habit ? habit : &nothing;
    float times = told->times, last = told->last;
    float rhythm = (told->first - last) / MAX(times - 1, 1);
    float due = times > 1 ? logf(MAX(last / MAX(rhythm, 1), 0.05f)) : 0;
    f[BOUGHT] = habit ? 1 : 0;
    f[TIMES] = log1pf(times);
    f[DECAYED] = told->decayed;
    f[DECAYED_LOG] = logf(told->decayed + LITTLE);
    f[OFTEN] = times / (n_orders + 3);
    f[LAST] = log1pf(last);
    f[LAST_WEEK] = expf(last / -7);
    f[LAST_MONTH] = expf(last / -30);
    f[ALIKE] = told->alike;
    f[ALIKE_LOG] = logf(told->alike + LITTLE);
    f[ALIKE_EACH] = logf(told->alike / (times + 1) + LITTLE);
    f[REPEATED] = times > 1;
    f[DUE] = due;
    f[DUE_NOW] = times > 1 ? expf(-fabsf(due)) : 0;
}

static void say_group(float weight, float held, const Habit *habit, float n_orders, float *f) {
    float times = habit ? habit->times : 0, decayed = habit ? habit->decayed : 0;
    float last = habit ? habit->last : NEVER;
    f[GROUP_WEIGHT] = weight;
    f[GROUP_WEIGHT_LOG] = logf(MAX(weight, 0) + 0.003f);
    f[GROUP_HELD] = log1pf(held);
    f[GROUP_TIMES] = log1pf(times);
    f[GROUP_BOUGHT] = times > 0;
    f[GROUP_OFTEN] = logf(times / (n_orders + 3) + LITTLE);
    f[GROUP_DECAYED] = decayed;
    f[GROUP_DECAYED_LOG] = logf(decayed + LITTLE);
    f[GROUP_LAST] = log1pf(last);
    f[GROUP_LAST_WEEK] = expf(last / -7);
    f[GROUP_LAST_MONTH] = expf(last / -30);
}

static const int OF_CART[] = {N_ORDERS, N_ITEMS, SINCE, CART_SIZE};
static const int OF_EVIDENCE[] = {WEIGHT, WEIGHT_ROOT, WEIGHT_LOG, CONFIDENCE, CONFIDENCE_LOG,
                                  NOISY_OR, NOISY_OR_LOG, COSINE_LOG, LIFT_LOG, WEIGHT_BY_SIZE};
static const int OF_HABIT[] = {BOUGHT, TIMES, DECAYED, DECAYED_LOG, OFTEN, LAST, LAST_WEEK,
                               LAST_MONTH, ALIKE, ALIKE_LOG, ALIKE_EACH, REPEATED, DUE, DUE_NOW};
static const int OF_GROUP[] = {GROUP_WEIGHT, GROUP_WEIGHT_LOG, GROUP_HELD, GROUP_TIMES,
                               GROUP_BOUGHT, GROUP_OFTEN, GROUP_DECAYED, GROUP_DECAYED_LOG,
                               GROUP_LAST, GROUP_LAST_WEEK, GROUP_LAST_MONTH};
static const int OF_ITEM[] = {POPULAR, RECENT, LATEST, TREND, SHARE, SHARE_LOG, PRICE, PRICE_STEP,
                              PRICE_FAR, MARGIN, GROUP_TO_ITEM_LOG, LOYALTY, LOYALTY_LOG};
#define COUNT(LIST) ((int)(sizeof(LIST) / sizeof *(LIST)))

/* Features of `list` as the network takes them, less what was counted already. */
static int64_t put_rows(const Network *network, const int *list, int n, const float *f,
                        const float *counted, int32_t *row, float *value, int64_t at) {
    for (int k = 0; k < n; k++) {
        float scaled = standard(network, list[k], f[list[k]]);
        row[at] = list[k];
        value[at++] = counted ? scaled - counted[list[k]] : scaled;
    }
    return at;
}

/* Most features are the same for all candidates of a group, or of the cart, or of all that nothing
 * is known of: the first layer adds up each of these once, and only the rest by candidate. */
static int score_pool(Workspace *work, const Ranking *model, const Network *network,
                      const int32_t *cart, int64_t n_cart, const Scene *scene, const int32_t *pool,
                      int64_t n, double *scores) {
    int64_t width = network->width[0];
    float *sums = room(&work->sums, (size_t)(n + 3) * (size_t)width + 2 * WIDEST, sizeof(float));
    float *told = room(&work->chosen, (size_t)(n + 1) * 3, sizeof(float));
    if (!sums || !told || table_open(&work->pool, n + 1)) return NO_MEMORY;
    float *spare = sums, *base = sums + 2 * WIDEST, *own = base + width, *of_group = own + width;
    float f[N_FEATURES], nothing[N_FEATURES], value[N_FEATURES];
    int32_t row[N_FEATURES];
    memset(f, 0, sizeof f);
    say_evidence(NULL, scene->cart_size, f);
    say_habit(NULL, scene->n_orders, f);
    f[N_ORDERS] = log1pf(scene->n_orders);
    f[N_ITEMS] = log1pf((float)scene->n_habits);
    f[SINCE] = log1pf(scene->since);
    f[CART_SIZE] = log1pf(scene->cart_size);
    for (int feature = 0; feature < N_FEATURES; feature++)
        nothing[feature] = standard(network, feature, f[feature]);
    int64_t many = put_rows(network, OF_CART, COUNT(OF_CART), f, NULL, row, value, 0);
    many = put_rows(network, OF_EVIDENCE, COUNT(OF_EVIDENCE), f, NULL, row, value, many);
    many = put_rows(network, OF_HABIT, COUNT(OF_HABIT), f, NULL, row, value, many);
    memcpy(base, network->biases[0], (size_t)width * sizeof(float));
    add_rows(many, row, value, network->weights[0], width, base);
    int64_t n_groups = 0;
    int is_new;
    for (int64_t candidate = 0; candidate < n; candidate++) {
        const RankedItem *item = model->items + pool[candidate];
        if (candidate + AHEAD < n) SOON(model->items + pool[candidate + AHEAD]);
        int32_t group = item->group;
        if (group >= scene->n_groups || group < -1) return BROKEN;
        int32_t place = table_add(&work->pool, group + 1, (int32_t)n_groups, &is_new);
        float *shared = of_group + place * width, *of = told + 3 * place;
        if (is_new) {
            int32_t calls = group < 0 ? -1 : table_find(&work->groups, group);
            int32_t used = group < 0 ? -1 : table_find(&work->past_groups, group);
            float held = 0;
            for (int64_t line = 0; line < n_cart && group >= 0; line++)
                held += model->items[cart[line]].group == group;
            of[0] = calls < 0 ? 0 : scene->group_weight[calls];
            of[1] = used < 0 ? 0 : scene->group_habits[used].times;
            say_group(of[0], held, used < 0 ? NULL : scene->group_habits + used, scene->n_orders, f);
            many = put_rows(network, OF_GROUP, COUNT(OF_GROUP), f, NULL, row, value, 0);
            memcpy(shared, base, (size_t)width * sizeof(float));
            add_rows(many, row, value, network->weights[0], width, shared);
            n_groups++;
        }
        int32_t calls = table_find(&work->items, pool[candidate]);
        int32_t used = table_find(&work->past_items, pool[candidate]);
        float times = used < 0 ? 0 : scene->habits[used].times, share = item->share;
        float price = item->log_price, loyalty = (times + 2 * share) / (of[1] + 2);
        float step = price * scene->log_price > 0 ? price - scene->log_price : 0;
        f[POPULAR] = item->popular_log;
        f[RECENT] = item->recent_log;
        f[LATEST] = item->latest_log;
        f[TREND] = f[RECENT] - f[POPULAR];
        f[SHARE] = share;
        f[SHARE_LOG] = item->share_log;
        f[PRICE] = price;
        f[PRICE_STEP] = step;
        f[PRICE_FAR] = fabsf(step);
        f[MARGIN] = item->margin;
        f[GROUP_TO_ITEM_LOG] = logf(MAX(of[0], 0) * share + 0.001f);
        f[LOYALTY] = loyalty;
        f[LOYALTY_LOG] = logf(loyalty + LITTLE);
        many = put_rows(network, OF_ITEM, COUNT(OF_ITEM), f, NULL, row, value, 0);
        if (calls >= 0) {
            say_evidence(scene->evidence + calls, scene->cart_size, f);
            many = put_rows(network, OF_EVIDENCE, COUNT(OF_EVIDENCE), f, nothing, row, value, many);
        }
        if (used >= 0) {
            say_habit(scene->habits + used, scene->n_orders, f);
            many = put_rows(network, OF_HABIT, COUNT(OF_HABIT), f, nothing, row, value, many);
        }
        memcpy(own, shared, (size_t)width * sizeof(float));
        add_rows(many, row, value, network->weights[0], width, own);
        scores[candidate] = likelihood_of(network, network_output(network, own, spare));
    }
    return OK;
}

/* How many candidates, ascending in `*items` with their probabilities in `*scores`; both belong to
 * `work` until its next call. `cart` ascends, each item once. Negative: an error. */
int64_t mersalg_rank(Workspace *work, const Ranking *model, const Network *network,
                     const int32_t *cart, int64_t n_cart, const int32_t *past_item,
                     const float *past_age, const int64_t *past_order, int64_t n_past,
                     int discovery, int32_t **items, double **scores) {
    Past past = {past_item, past_age, past_order, n_past};
    Scene scene = {.n_items = model->near.n_rows, .n_groups = model->groups.n_rows};
    if (!network_fits(network, N_FEATURES) || scene.n_items > INT32_MAX) return BROKEN;
    for (int64_t line = 1; line < n_cart; line++)
        if (cart[line - 1] >= cart[line]) return BROKEN;
    int failed = look_at_cart(work, model, cart, n_cart, &scene);
    if (!failed) failed = look_at_past(work, model, cart, n_cart, &past, &scene);
    if (failed) return failed;
    int64_t n = gather_pool(work, model, cart, n_cart, discovery, &scene, items);
    if (n < 0) return n;
    *scores = room(&work->out_scores, (size_t)n, sizeof(double));
    if (!*scores) return NO_MEMORY;
    failed = score_pool(work, model, network, cart, n_cart, &scene, *items, n, *scores);
    return failed ? failed : n;
}

/* Orders with an item of the cart and with `item`; 0 where they are not counted, below it an error.
 */
static int32_t joint_of(const Ranking *model, int32_t held, int32_t item) {
    int64_t begin = 0, end = 0;
    if (!row_of(&model->near, held, &begin, &end)) return BROKEN;
    int64_t place = first_of(model->near.columns, begin, end, item);
    int found = place < end && model->near.columns[place] == item;
    return found ? MAX(model->near_joint[place], 0) : 0;
}

/* By the lower end of the interval of lift, as `engine.cross_sell.measures.lift_and_lower`. */
static int best_pair(const Ranking *model, const int32_t *cart, int64_t n_cart, int32_t item,
                     int32_t *held, int32_t *joint) {
    double n_orders = trunc((double)model->n_orders_all), best = 1;
    if (item < 0 || item >= model->near.n_rows) return BROKEN;
    double n_item = trunc((double)model->n_orders[item]);
    *held = -1;
    *joint = 0;
    for (int64_t line = 0; line < n_cart; line++) {
        int32_t together = joint_of(model, cart[line], item);
        if (together < 0) return together;
        double n_held = trunc((double)model->n_orders[cart[line]]), n_joint = (double)together;
        if (n_joint <= 0 || n_held <= 0 || n_item <= 0) continue;
        double lift = n_joint / n_held * (n_orders / n_item);
        double variance = 1 / n_joint - 1 / n_held - 1 / n_item + (2 * lift - 1) / n_orders;
        double lower = lift * exp(-Z_95 * sqrt(MAX(variance, 0)));
        if (!(lower > best)) continue;
        best = lower;
        *held = cart[line];
        *joint = together;
    }
    return OK;
}

/* For each of `items` the item of the cart whose pair with it is best borne out by counts, into
 * `held`, and how many orders have both into `joint`; -1 where none is known to go with it. */
int64_t mersalg_pairs(const Ranking *model, const int32_t *cart, int64_t n_cart,
                      const int32_t *items, int64_t n_items, int32_t *held, int32_t *joint) {
    for (int64_t place = 0; place < n_items; place++) {
        int failed = best_pair(model, cart, n_cart, items[place], held + place, joint + place);
        if (failed) return failed;
    }
    return OK;
}
