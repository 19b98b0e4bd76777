/* The loops of a network, LANES numbers at once, compiled for several processors of which the loader
 * takes the widest that is there.
 *
 * These are C because Cython has neither vector types nor a way to compile one function several
 * times: with the instructions that every x86-64 has, they take three times as long.
 */
#ifndef MERSALG_LANES_H
#define MERSALG_LANES_H

#include <stdint.h>
#include <stdlib.h>

#if defined(__x86_64__) && defined(__GLIBC__)
#define EACH_PROCESSOR __attribute__((target_clones("avx512f", "arch=haswell", "default")))
#else
#define EACH_PROCESSOR
#endif
#define WIDE 16 /* LANES of `networks.pyx` */
#define PART static inline __attribute__((always_inline)) void

typedef float Lanes __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));

#define AT(POINTER, PLACE) (((Lanes *)(POINTER))[PLACE])

/* Adds to `parts` times WIDE sums, which stay in registers. */
PART add_part(int parts, int64_t n, const int32_t *row, const float *value, const float *weights,
              int64_t width, float *out) {
    Lanes sum[3];
    for (int part = 0; part < parts; part++) sum[part] = AT(out, part);
    for (int64_t k = 0; k < n; k++)
        for (int part = 0; part < parts; part++)
            sum[part] += value[k] * AT(weights + row[k] * width, part);
    for (int part = 0; part < parts; part++) AT(out, part) = sum[part];
}

/* out[0..width) += sum of value[k] * weights[row[k]][0..width) */
EACH_PROCESSOR
static void add_weights(int64_t n, const int32_t *row, const float *value, const float *weights,
                        int64_t width, float *out) {
    int64_t from = 0;
    for (; from + 3 * WIDE <= width; from += 3 * WIDE)
        add_part(3, n, row, value, weights + from, width, out + from);
    for (; from + 2 * WIDE <= width; from += 2 * WIDE)
        add_part(2, n, row, value, weights + from, width, out + from);
    for (; from < width; from += WIDE) add_part(1, n, row, value, weights + from, width, out + from);
}

/* value[k] = signal column[k] as a network takes it, less what of it is `counted` already; what is
 * far outside of training is not trusted. */
EACH_PROCESSOR
static void standardise(int64_t n, const int32_t *column, const float *signals, const float *mean,
                        const float *scale, const float *counted, float *value) {
    for (int64_t k = 0; k < n; k++) {
        float each = (signals[column[k]] - mean[column[k]]) * scale[column[k]];
        each = -8 > each ? -8 : each;
        value[k] = 8 < each ? 8 : each;
    }
    for (int64_t k = 0; counted && k < n; k++) value[k] -= counted[column[k]];
}

PART next_rows(int rows, const float *in, int64_t n_in, const float *weights, const float *bias,
               const int32_t *spans, int64_t width, float *out) {
    for (int64_t from = 0; from < width; from += WIDE, spans += 2) {
        Lanes sum[8];
        for (int row = 0; row < rows; row++) sum[row] = AT(bias + from, 0);
        for (int64_t k = spans[0]; k < spans[1]; k++)
            for (int row = 0; row < rows; row++)
                sum[row] += in[row * n_in + k] * AT(weights + k * width + from, 0);
        for (int row = 0; row < rows; row++) AT(out + row * width + from, 0) = sum[row];
    }
}

/* out = bias + weights * what is above zero of `in`, row by row; networks side by side leave blocks
 * of zeros, which `spans` leave out. */
EACH_PROCESSOR
static void next_layer(int64_t n, float *in, int64_t n_in, const float *weights, const float *bias,
                       const int32_t *spans, int64_t width, float *out) {
    int64_t row = 0;
    for (int64_t k = 0; k < n * n_in; k++) in[k] = in[k] > 0 ? in[k] : 0;
    for (; row + 8 <= n; row += 8)
        next_rows(8, in + row * n_in, n_in, weights, bias, spans, width, out + row * width);
    for (; row < n; row++)
        next_rows(1, in + row * n_in, n_in, weights, bias, spans, width, out + row * width);
}

/* out[row] = bias + weights * what is above zero of row `row` of `in` */
EACH_PROCESSOR
static void last_layer(int64_t n, const float *in, int64_t n_in, const float *weights, float bias,
                       float *out) {
    for (int64_t row = 0; row < n; row++, in += n_in) {
        float sum[WIDE] = {0};
        for (int64_t from = 0; from < n_in; from += WIDE)
            for (int lane = 0; lane < WIDE; lane++) {
                float value = in[from + lane];
                sum[lane] += (value > 0 ? value : 0) * weights[from + lane];
            }
        double total = bias;
        for (int lane = 0; lane < WIDE; lane++) total += (double)sum[lane];
        out[row] = (float)total;
    }
}

#endif
