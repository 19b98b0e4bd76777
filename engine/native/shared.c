/* Sorting and choosing, and networks, for whichever processor this runs on. */
#include "shared.h"

Workspace *mersalg_open(void) { return calloc(1, sizeof(Workspace)); }

static float kth_highest(float *values, int64_t n, int64_t k) {
    int64_t low = 0, high = n - 1;
    while (low < high) {
        float pivot = values[low + (high - low) / 2];
        int64_t left = low, right = high;
        while (left <= right) {
            while (values[left] > pivot) left++;
            while (values[right] < pivot) right--;
            if (left <= right) {
                float held = values[left];
                values[left++] = values[right];
                values[right--] = held;
            }
        }
        if (k <= right) high = right;
        else if (k >= left) low = left;
        else break;
    }
    return values[k];
}

typedef struct {
    int32_t key, place;
} Keyed;

static int by_key(const void *left, const void *right) {
    int32_t first = ((const Keyed *)left)->key, second = ((const Keyed *)right)->key;
    return (first > second) - (first < second);
}

/* Bits that sort as the numbers do; NaN stands below all. */
static inline uint32_t rising(float value) {
    uint32_t bits;
    if (value != value) return 0;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? ~bits : bits | 1u << 31;
}

int64_t highest(int64_t n, const float *score, const int32_t *key, int64_t limit, int32_t *found,
                Buffer *spare) {
    if (n <= limit) {
        for (int64_t place = 0; place < n; place++) found[place] = (int32_t)place;
        return n;
    }
    Keyed *reach = room(spare, (size_t)n, sizeof(Keyed));
    if (!reach) return NO_MEMORY;
    float *values = (float *)reach;
    /* Which of 2048 stretches holds the least that is taken; then only that one is looked at. */
    int32_t counts[2048] = {0};
    for (int64_t place = 0; place < n; place++) counts[rising(score[place]) >> 21]++;
    int64_t above = 0, many = 0;
    uint32_t stretch = 2047;
    while (above + counts[stretch] < limit) above += counts[stretch--];
    for (int64_t place = 0; place < n; place++) {
        values[many] = score[place] == score[place] ? score[place] : -INFINITY;
        many += rising(score[place]) >> 21 == stretch;
    }
    float least = kth_highest(values, many, limit - 1 - above);
    int64_t taken = 0, equal = 0;
    for (int64_t place = 0; place < n; place++) {
        if (score[place] > least) found[taken++] = (int32_t)place;
        reach[equal] = (Keyed){key[place], (int32_t)place};
        equal += score[place] == least;
    }
    if (taken + equal > limit) qsort(reach, (size_t)equal, sizeof(Keyed), by_key);
    for (int64_t place = 0; place < equal && taken < limit; place++)
        found[taken++] = reach[place].place;
    return taken;
}

void sort_ascending(int32_t *values, int64_t n, Buffer *spare) {
    int32_t *other = n > 48 ? room(spare, (size_t)n, sizeof(int32_t)) : NULL;
    if (!other) {
        for (int64_t place = 1; place < n; place++) {
            int32_t value = values[place];
            int64_t to = place;
            for (; to > 0 && values[to - 1] > value; to--) values[to] = values[to - 1];
            values[to] = value;
        }
        return;
    }
    int32_t most = 0;
    for (int64_t place = 0; place < n; place++) most = MAX(most, values[place]);
    int32_t *from = values;
    for (int shift = 0; shift < 31 && (most >> shift) > 0; shift += 9) {
        int64_t starts[513] = {0};
        for (int64_t place = 0; place < n; place++) starts[(from[place] >> shift & 511) + 1]++;
        for (int digit = 0; digit < 512; digit++) starts[digit + 1] += starts[digit];
        for (int64_t place = 0; place < n; place++)
            other[starts[from[place] >> shift & 511]++] = from[place];
        int32_t *held = from;
        from = other;
        other = held;
    }
    if (from != values) memcpy(values, from, (size_t)n * sizeof(int32_t));
}

/* LANES numbers at once; compilers cut it to what a processor has. */
typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define AT(POINTER, PLACE) (((Lanes *)(POINTER))[PLACE])
#define LINE(K) (weights + (int64_t)row[K] * width + from)

/* The same loops, compiled for each kind of processor; the widest that is there runs. Sums stay in
 * registers, of three, two or one times LANES columns. */
#define ADD_ROWS(NAME, ATTRIBUTES)                                                              \
    ATTRIBUTES static void NAME(int64_t n, const int32_t *row, const float *value,              \
                                const float *weights, int64_t width, float *out) {              \
        int64_t from = 0;                                                                       \
        for (; from + 3 * LANES <= width; from += 3 * LANES) {                                  \
            Lanes first = AT(out + from, 0), second = AT(out + from, 1), third = AT(out + from, 2); \
            for (int64_t k = 0; k < n; k++) {                                                   \
                const float *line = LINE(k);                                                    \
                first += value[k] * AT(line, 0);                                                \
                second += value[k] * AT(line, 1);                                               \
                third += value[k] * AT(line, 2);                                                \
            }                                                                                   \
            AT(out + from, 0) = first, AT(out + from, 1) = second, AT(out + from, 2) = third;   \
        }                                                                                       \
        for (; from + 2 * LANES <= width; from += 2 * LANES) {                                  \
            Lanes first = AT(out + from, 0), second = AT(out + from, 1);                        \
            for (int64_t k = 0; k < n; k++) {                                                   \
                const float *line = LINE(k);                                                    \
                first += value[k] * AT(line, 0);                                                \
                second += value[k] * AT(line, 1);                                               \
            }                                                                                   \
            AT(out + from, 0) = first, AT(out + from, 1) = second;                              \
        }                                                                                       \
        for (; from < width; from += LANES) {                                                   \
            Lanes first = AT(out + from, 0);                                                    \
            for (int64_t k = 0; k < n; k++) first += value[k] * AT(LINE(k), 0);                 \
            AT(out + from, 0) = first;                                                          \
        }                                                                                       \
    }

/* next = bias + rectified layer * weights, where networks side by side leave blocks of zeros out. */
#define LAYER(NAME, ATTRIBUTES)                                                                 \
    ATTRIBUTES static void NAME(float *layer, int64_t n, const float *weights, const float *bias, \
                                const int32_t *spans, int64_t width, float *next) {             \
        for (int64_t k = 0; k < n; k++) layer[k] = layer[k] > 0 ? layer[k] : 0;                 \
        for (int64_t from = 0; from < width; from += LANES, spans += 2) {                       \
            int64_t k = spans[0], end = spans[1];                                               \
            const float *line = weights + k * width + from;                                     \
            Lanes first = AT(bias + from, 0), second = {0}, third = {0}, fourth = {0};          \
            for (; k + 4 <= end; k += 4, line += 4 * width) {                                   \
                first += layer[k] * AT(line, 0);                                                \
                second += layer[k + 1] * AT(line + width, 0);                                   \
                third += layer[k + 2] * AT(line + 2 * width, 0);                                \
                fourth += layer[k + 3] * AT(line + 3 * width, 0);                               \
            }                                                                                   \
            for (; k < end; k++, line += width) first += layer[k] * AT(line, 0);                \
            AT(next + from, 0) = (first + second) + (third + fourth);                           \
        }                                                                                       \
    }

ADD_ROWS(add_rows_plain, )
LAYER(layer_plain, )
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
ADD_ROWS(add_rows_avx2, __attribute__((target("avx2,fma"))))
LAYER(layer_avx2, __attribute__((target("avx2,fma"))))
ADD_ROWS(add_rows_avx512, __attribute__((target("avx512f"))))
LAYER(layer_avx512, __attribute__((target("avx512f"))))
#endif

typedef struct {
    void (*add_rows)(int64_t, const int32_t *, const float *, const float *, int64_t, float *);
    void (*layer)(float *, int64_t, const float *, const float *, const int32_t *, int64_t, float *);
} Loops;

static const Loops PLAIN = {add_rows_plain, layer_plain};
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
static const Loops AVX2 = {add_rows_avx2, layer_avx2}, AVX512 = {add_rows_avx512, layer_avx512};
#endif

static const Loops *loops(void) {
    static const Loops *chosen; /* Threads that choose at once choose the same. */
    if (chosen) return chosen;
    const Loops *best = &PLAIN;
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    if (__builtin_cpu_supports("avx512f")) best = &AVX512;
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = &AVX2;
#endif
    return chosen = best;
}

void add_rows(int64_t n, const int32_t *row, const float *value, const float *weights,
              int64_t width, float *out) {
    loops()->add_rows(n, row, value, weights, width, out);
}

int network_fits(const Network *network, int n_features) {
    if (network->n_layers < 1 || network->n_layers > MOST_LAYERS) return 0;
    int64_t before = network->n_features;
    for (int64_t layer = 0; layer < network->n_layers; layer++) {
        int64_t width = network->width[layer];
        if (width < LANES || width % LANES || width > WIDEST) return 0;
        for (int64_t block = 0; layer > 0 && block < width / LANES; block++) {
            int32_t begin = network->spans[layer][2 * block], end = network->spans[layer][2 * block + 1];
            if (begin < 0 || begin > end || end > before) return 0;
        }
        before = width;
    }
    return network->n_features == n_features;
}

float network_output(const Network *network, float *first, float *spare) {
    float *layer = first, *next = spare;
    int64_t width = network->width[0], last = network->n_layers - 1;
    for (int64_t place = 1; place < last; place++) {
        loops()->layer(layer, width, network->weights[place], network->biases[place],
                       network->spans[place], network->width[place], next);
        width = network->width[place];
        layer = next;
        next = next == spare ? spare + WIDEST : spare;
    }
    if (!last) return layer[0];
    float sum[LANES] = {0};
    for (int64_t from = 0; from < width; from += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            float value = layer[from + lane];
            sum[lane] += (value > 0 ? value : 0) * network->weights[last][from + lane];
        }
    double total = network->biases[last][0];
    for (int lane = 0; lane < LANES; lane++) total += (double)sum[lane];
    return (float)total;
}

double likelihood_of(const Network *network, float raw) {
    double odds = network->slope * (double)raw + network->intercept;
    odds = odds < -30 ? -30 : odds > 30 ? 30 : odds;
    return 1.0 / (1.0 + exp(-odds));
}
