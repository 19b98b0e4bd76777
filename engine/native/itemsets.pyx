# Frequent itemsets: horizontal scans with array counters, after Uno's LCM.
#
# Baskets are rows of ascending labels. The occurrences of a label are visited and what follows it
# in each row is counted in an array ("occurrence deliver", Uno, Kiyomi and Arimura, LCM ver. 2,
# 2004), so that a candidate costs nothing before it occurs. Longer sets grow only from frequent
# pairs: the rows behind a label, cut down to its frequent partners, are mined in turn, and the two
# last items are counted together in a square of counters. The rows of a label lie far apart, so
# each is prefetched some occurrences before it is read.

cdef enum:
    # Counters of pairs of partners held at a time (16 MiB of int32); more are counted in strips.
    _SQUARE_LIMIT = 1 << 22
    _AHEAD = 8
    _AHEAD_OF_FILING = 16

SQUARE_LIMIT = _SQUARE_LIMIT


cdef struct RowsStruct:
    uint32_t *labels
    int64_t *first
    uint32_t *position
    uint32_t *row_end
    uint8_t *held
    int64_t n_labels, n_long


cdef struct Level:
    int32_t *items
    int64_t *counts
    int64_t n, capacity


cdef struct Search:
    int64_t min_count, max_length
    int32_t *prefix          # names of the labels chosen so far
    Level *levels            # by length of the sets; NULL where only their counts are wanted
    int64_t *sets_of_count
    int32_t *square
    int64_t square_size


cdef int add_set(Search *search, int64_t length, int32_t count) noexcept nogil:
    """Add the first `length` names of the prefix, a set in `count` rows; -1 without memory."""
    cdef int64_t capacity
    cdef int32_t *items
    cdef int64_t *counts
    if search.levels == NULL:
        search.sets_of_count[count] += 1
        return 0
    cdef Level *level = &search.levels[length]
    if level.n == level.capacity:
        capacity = max(1024, 2 * level.capacity)
        items = <int32_t *>realloc(level.items, capacity * length * sizeof(int32_t))
        if items == NULL:
            return -1
        level.items = items
        counts = <int64_t *>realloc(level.counts, capacity * sizeof(int64_t))
        if counts == NULL:
            return -1
        level.counts = counts
        level.capacity = capacity
    memcpy(level.items + level.n * length, search.prefix, length * sizeof(int32_t))
    level.counts[level.n] = count
    level.n += 1
    return 0


cdef void sort_labels(uint32_t *values, int64_t n) noexcept nogil:
    """Shell's sort with Ciura's gaps."""
    cdef int64_t right, left, gap
    cdef uint32_t value
    cdef int place
    cdef int64_t[9] gaps = [1750, 701, 301, 132, 57, 23, 10, 4, 1]
    for place in range(9):
        gap = gaps[place]
        for right in range(gap, n):
            value = values[right]
            left = right
            while left >= gap and values[left - gap] > value:
                values[left] = values[left - gap]
                left -= gap
            values[left] = value


cdef int64_t count_partners(
    const RowsStruct *rows, int64_t label, int64_t min_count, int32_t *counter, uint32_t *partners
) noexcept nogil:
    """Write the labels behind `label` in at least `min_count` rows, ascending, into `partners`.

    Leaves their counts in `counter`, to be zeroed by `clear_counts`; returns how many they are.
    """
    cdef int64_t occurrence, place, long_row, index, n_kept
    cdef int64_t begin = rows.first[label], end = rows.first[label + 1]
    cdef int64_t n_held = 0, n_partners = 0, enough
    cdef uint32_t partner
    cdef int32_t count
    for long_row in range(rows.n_long):
        n_held += rows.held[long_row * rows.n_labels + label]
    enough = min_count - n_held
    for occurrence in range(begin, end):
        if occurrence + _AHEAD < end:
            prefetch(rows.labels + rows.position[occurrence + _AHEAD])
        for place in range(<int64_t>rows.position[occurrence] + 1, <int64_t>rows.row_end[occurrence]):
            partner = rows.labels[place]
            count = counter[partner] + 1
            counter[partner] = count
            if count == enough:
                partners[n_partners] = partner
                n_partners += 1
    if n_held:
        n_kept = 0
        for index in range(n_partners):
            partner = partners[index]
            for long_row in range(rows.n_long):
                counter[partner] += (
                    rows.held[long_row * rows.n_labels + label]
                    & rows.held[long_row * rows.n_labels + partner]
                )
            if counter[partner] >= min_count:
                partners[n_kept] = partner
                n_kept += 1
        n_partners = n_kept
    sort_labels(partners, n_partners)
    return n_partners


cdef void clear_counts(const RowsStruct *rows, int64_t label, int32_t *counter) noexcept nogil:
    """Set to zero what `count_partners` counted."""
    cdef int64_t occurrence, place, work = 0
    cdef int64_t begin = rows.first[label], end = rows.first[label + 1]
    for occurrence in range(begin, end):
        work += rows.row_end[occurrence] - rows.position[occurrence]
    if 8 * work < rows.n_labels - label:
        for occurrence in range(begin, end):
            for place in range(
                <int64_t>rows.position[occurrence] + 1, <int64_t>rows.row_end[occurrence]
            ):
                counter[rows.labels[place]] = 0
    else:
        memset(counter + label, 0, (rows.n_labels - label) * sizeof(int32_t))


cdef inline void count_pairs(
    const int32_t *found, int64_t n_found, int64_t low, int64_t high, int64_t n_partners,
    int32_t *square,
) noexcept nogil:
    cdef int64_t left, right
    cdef int32_t *line
    for left in range(n_found - 1):
        if found[left] >= high:
            break
        line = square + (found[left] - low) * n_partners
        for right in range(left + 1, n_found):
            line[found[right]] += 1


cdef void count_square(
    const RowsStruct *rows, int64_t label, const int32_t *local, const uint32_t *partners,
    int64_t n_partners, int64_t low, int64_t high, int32_t *square, int32_t *buffer,
) noexcept nogil:
    """Count the pairs of partners that follow together, the first of them in [low, high).

    `square` is row-major, (high - low) x n_partners, of zeros. `local` ascends with the labels, so
    the partners of a row come in their own order.
    """
    cdef int64_t occurrence, place, long_row, index, n_found
    cdef int64_t end = rows.first[label + 1]
    cdef int32_t found
    for occurrence in range(rows.first[label], end):
        if occurrence + _AHEAD < end:
            prefetch(rows.labels + rows.position[occurrence + _AHEAD])
        n_found = 0
        for place in range(<int64_t>rows.position[occurrence] + 1, <int64_t>rows.row_end[occurrence]):
            # What is no partner is written and overwritten: a branch would cost more.
            found = local[rows.labels[place]]
            buffer[n_found] = found
            n_found += found >= low
        count_pairs(buffer, n_found, low, high, n_partners, square)
    for long_row in range(rows.n_long):
        if rows.held[long_row * rows.n_labels + label]:
            n_found = 0
            for index in range(low, n_partners):
                buffer[n_found] = <int32_t>index
                n_found += rows.held[long_row * rows.n_labels + partners[index]]
            count_pairs(buffer, n_found, low, high, n_partners, square)


cdef int add_triples(
    const RowsStruct *rows, const int32_t *names, int64_t label, const int32_t *local,
    const uint32_t *partners, int64_t n_partners, int32_t *buffer, int64_t depth, Search *search,
) noexcept nogil:
    """Add the frequent sets of the prefix, which ends with `label`, and two of its partners."""
    cdef int64_t top, bottom, left, right
    cdef int64_t height = max(1, min(n_partners, _SQUARE_LIMIT // n_partners))
    cdef int32_t count
    cdef int32_t *line
    if search.square_size < height * n_partners:
        free(search.square)
        search.square_size = height * n_partners
        search.square = <int32_t *>calloc(search.square_size, sizeof(int32_t))
        if search.square == NULL:
            search.square_size = 0
            return -1
    top = 0
    while top < n_partners - 1:
        bottom = min(top + height, n_partners)
        count_square(rows, label, local, partners, n_partners, top, bottom, search.square, buffer)
        for left in range(top, bottom):
            line = search.square + (left - top) * n_partners
            search.prefix[depth] = names[partners[left]]
            for right in range(left + 1, n_partners):
                count = line[right]
                line[right] = 0
                if count >= search.min_count:
                    search.prefix[depth + 1] = names[partners[right]]
                    if add_set(search, depth + 2, count) < 0:
                        return -1
        top = bottom
    return 0


cdef void free_rows(RowsStruct *rows) noexcept nogil:
    free(rows.labels)
    free(rows.first)
    free(rows.position)
    free(rows.row_end)


cdef int rows_behind(
    const RowsStruct *rows, int64_t label, const int32_t *local, const uint32_t *partners,
    int64_t n_partners, RowsStruct *found,
) noexcept nogil:
    """Cut the rows behind `label` down to its partners, which are relabelled by `local`.

    `found` is to be freed by `free_rows`, also where this returns -1 for want of memory.
    """
    cdef int64_t occurrence, place, long_row, index, start, row, slot
    cdef int64_t begin = rows.first[label], end = rows.first[label + 1]
    cdef int64_t size = 0, n_rows = 0, filled = 0
    cdef int32_t name
    for occurrence in range(begin, end):
        size += rows.row_end[occurrence] - rows.position[occurrence]
    for long_row in range(rows.n_long):
        size += rows.held[long_row * rows.n_labels + label] * n_partners
    cdef int64_t *ends = <int64_t *>malloc((end - begin + rows.n_long + 1) * sizeof(int64_t))
    cdef int64_t *fill = <int64_t *>malloc((n_partners + 1) * sizeof(int64_t))
    found.labels = <uint32_t *>malloc((size + 1) * sizeof(uint32_t))
    found.first = <int64_t *>calloc(n_partners + 1, sizeof(int64_t))
    found.position, found.row_end, found.held = NULL, NULL, NULL
    found.n_labels, found.n_long = n_partners, 0
    if ends == NULL or fill == NULL or found.labels == NULL or found.first == NULL:
        free(ends)
        free(fill)
        return -1
    for occurrence in range(begin, end):
        if occurrence + _AHEAD < end:
            prefetch(rows.labels + rows.position[occurrence + _AHEAD])
        start = filled
        for place in range(<int64_t>rows.position[occurrence] + 1, <int64_t>rows.row_end[occurrence]):
            name = local[rows.labels[place]]
            if name >= 0:
                found.labels[filled] = name
                filled += 1
        if filled - start < 2:
            filled = start
        else:
            ends[n_rows] = filled
            n_rows += 1
    for long_row in range(rows.n_long):
        if rows.held[long_row * rows.n_labels + label]:
            for index in range(n_partners):
                if rows.held[long_row * rows.n_labels + partners[index]]:
                    found.labels[filled] = <uint32_t>index
                    filled += 1
            ends[n_rows] = filled
            n_rows += 1
    for place in range(filled):
        found.first[found.labels[place] + 1] += 1
    for index in range(n_partners):
        found.first[index + 1] += found.first[index]
    memcpy(fill, found.first, (n_partners + 1) * sizeof(int64_t))
    found.position = <uint32_t *>malloc((filled + 1) * sizeof(uint32_t))
    found.row_end = <uint32_t *>malloc((filled + 1) * sizeof(uint32_t))
    if found.position != NULL and found.row_end != NULL:
        start = 0
        for row in range(n_rows):
            for place in range(start, ends[row]):
                slot = fill[found.labels[place]]
                fill[found.labels[place]] = slot + 1
                found.position[slot] = <uint32_t>place
                found.row_end[slot] = <uint32_t>ends[row]
            start = ends[row]
    free(ends)
    free(fill)
    return -1 if found.position == NULL or found.row_end == NULL else 0


cdef int grow(
    const RowsStruct *rows, const int32_t *names, int64_t low, int64_t high, int64_t depth,
    Search *search,
) noexcept nogil:
    """Add every frequent set of the prefix's `depth` - 1 names, a label in [low, high) and labels
    behind it; -1 without memory.

    `names` are what the labels are called in the sets, int32 (n_labels,).
    """
    cdef int64_t n_labels = rows.n_labels, label, index, n_partners
    cdef int failed = 0
    cdef RowsStruct behind
    cdef int32_t *room = <int32_t *>malloc((5 * n_labels + 1) * sizeof(int32_t))
    if room == NULL:
        return -1
    cdef int32_t *counter = room
    cdef int32_t *local = room + n_labels
    cdef uint32_t *partners = <uint32_t *>(room + 2 * n_labels)
    cdef int32_t *inner_names = room + 3 * n_labels
    cdef int32_t *buffer = room + 4 * n_labels
    memset(counter, 0, n_labels * sizeof(int32_t))
    memset(local, 0xFF, n_labels * sizeof(int32_t))
    for label in range(low, high):
        n_partners = count_partners(rows, label, search.min_count, counter, partners)
        search.prefix[depth - 1] = names[label]
        for index in range(n_partners):
            search.prefix[depth] = names[partners[index]]
            if add_set(search, depth + 1, counter[partners[index]]) < 0:
                failed = -1
                break
        clear_counts(rows, label, counter)
        if not failed and n_partners >= 2 and depth + 2 <= search.max_length:
            for index in range(n_partners):
                local[partners[index]] = <int32_t>index
                inner_names[index] = names[partners[index]]
            if depth + 2 == search.max_length:
                failed = add_triples(
                    rows, names, label, local, partners, n_partners, buffer, depth, search
                )
            else:
                failed = rows_behind(rows, label, local, partners, n_partners, &behind)
                if not failed:
                    failed = grow(&behind, inner_names, 0, n_partners, depth + 1, search)
                free_rows(&behind)
            for index in range(n_partners):
                local[partners[index]] = -1
        if failed:
            break
    free(room)
    return failed
