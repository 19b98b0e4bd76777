/* External ids to dense indices, many at once: as `engine.vocabulary`. */
#include "shared.h"

static const uint32_t *steps(void) {
    static uint32_t table[256];
    if (table[255]) return table; /* Threads that make it at once make the same. */
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t step = byte;
        for (int bit = 0; bit < 8; bit++) step = step >> 1 ^ (step & 1 ? 0xEDB88320u : 0);
        table[byte] = step;
    }
    return table;
}

static uint32_t check_sum(const uint8_t *text, int64_t length) {
    const uint32_t *step = steps();
    uint32_t sum = ~0u;
    for (int64_t at = 0; at < length; at++) sum = step[(sum ^ text[at]) & 255] ^ sum >> 8;
    return ~sum;
}

static int64_t place_of(const Vocabulary *known, const uint8_t *text, int64_t length) {
    uint32_t wanted = check_sum(text, length);
    int64_t low = 0, high = known->n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (known->sums[middle] < wanted) low = middle + 1;
        else high = middle;
    }
    for (; low < known->n && known->sums[low] == wanted; low++) {
        int32_t place = known->places[low];
        if (place < 0 || place >= known->n) return BROKEN;
        int64_t begin = known->offsets[place], end = known->offsets[place + 1];
        if (begin < 0 || begin > end || end > known->n_bytes) return BROKEN;
        if (end - begin == length && !memcmp(known->blob + begin, text, (size_t)length))
            return place;
    }
    return -1;
}

/* The dense index of each of the `n` lines of `asked` into `found`, -1 where it is unknown. */
int64_t mersalg_find(const Vocabulary *known, const uint8_t *asked, int64_t n_bytes, int64_t n,
                     int32_t *found) {
    const uint8_t *end = asked + n_bytes;
    for (int64_t line = 0; line < n; line++) {
        const uint8_t *stop = asked < end ? memchr(asked, '\n', (size_t)(end - asked)) : NULL;
        if (!stop) stop = end;
        int64_t place = place_of(known, asked, stop - asked);
        if (place < -1) return place;
        found[line] = (int32_t)place;
        asked = stop < end ? stop + 1 : end;
    }
    return OK;
}
