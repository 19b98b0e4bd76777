# Baskets filed by label, which `itemsets.pyx` searches, and the sets found.


cdef class FoundSets:
    """The sets of one part of the work, by length; names inside a set are in no order."""

    cdef Level *levels
    cdef readonly int64_t max_length

    def __cinit__(self, int64_t max_length):
        self.max_length = max_length
        self.levels = <Level *>calloc(max_length + 1, sizeof(Level))
        if self.levels == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef int64_t length
        if self.levels != NULL:
            for length in range(self.max_length + 1):
                free(self.levels[length].items)
                free(self.levels[length].counts)
            free(self.levels)

    def n_sets(self, int64_t length):
        """Return how many sets have `length` items."""
        return self.levels[length].n if length <= self.max_length else 0

    def move(self, int64_t length, int32_t[:, ::1] items, int64_t[::1] counts):
        """Move the sets of `length` items into arrays of as many rows."""
        cdef Level *level
        if length > self.max_length:
            return
        level = &self.levels[length]
        if items.shape[0] != level.n or counts.shape[0] != level.n or items.shape[1] != length:
            raise ValueError("arrays of another shape than the sets'")
        if level.n:
            memcpy(&items[0, 0], level.items, level.n * length * sizeof(int32_t))
            memcpy(&counts[0], level.counts, level.n * sizeof(int64_t))
        free(level.items)
        free(level.counts)
        memset(level, 0, sizeof(Level))


cdef class Rows:
    """Rows of ascending labels, and where each label occurs in them.

    Attributes are those of the constructor:

    labels: uint32 (n,), the rows one behind the other, for `add_entries` behind each the size of
        its order; shorter than 2**31.
    first: int64 (n_labels + 1,); the occurrences of label a are `position[first[a]:first[a + 1]]`.
    position, row_end: uint32 (n,), the place of each occurrence and where its row ends.
    held: uint8 (n_long, n_labels), rows too long to be walked, 1 where they hold a label; they are
        not in `labels`, and fewer than the least count asked for.
    names: int32 (n_labels,), what each label is called in the sets.
    """

    cdef RowsStruct rows
    cdef int32_t[::1] names
    cdef object arrays

    @property
    def n_long(self):
        return self.rows.n_long

    def __init__(
        self, uint32_t[::1] labels, int64_t[::1] first, uint32_t[::1] position,
        uint32_t[::1] row_end, uint8_t[:, ::1] held, int32_t[::1] names,
    ):
        self.arrays = (labels, first, position, row_end, held)
        self.names = names
        self.rows = RowsStruct(
            &labels[0], &first[0], &position[0], &row_end[0], &held[0, 0],
            names.shape[0], held.shape[0],
        )

    cdef int search(
        self, int64_t low, int64_t high, int64_t min_count, int64_t max_length, Level *levels,
        int64_t *sets_of_count,
    ) except -1:
        cdef Search search
        cdef int failed
        memset(&search, 0, sizeof(Search))
        search.min_count, search.max_length = min_count, max_length
        search.levels, search.sets_of_count = levels, sets_of_count
        cdef int32_t[::1] prefix = np.empty(max_length + 2, dtype=np.int32)
        search.prefix = &prefix[0]
        with nogil:
            failed = grow(&self.rows, &self.names[0], low, high, 1, &search)
            free(search.square)
        if failed:
            raise MemoryError("no memory for the sets found")
        return 0

    def sets(self, int64_t low, int64_t high, int64_t min_count, int64_t max_length):
        """Return the sets of 2..`max_length` labels, the first in [low, high), in at least
        `min_count` (>= 1) rows."""
        cdef FoundSets found = FoundSets(max_length)
        self.search(low, high, min_count, max_length, found.levels, NULL)
        return found

    def count_sets(
        self, int64_t low, int64_t high, int64_t min_count, int64_t max_length,
        int64_t[::1] sets_of_count,
    ):
        """Add the number of sets in 0, 1, 2 ... rows to `sets_of_count`; as `sets`, none kept.

        Its length must exceed the greatest count of any label.
        """
        self.search(low, high, min_count, max_length, NULL, &sets_of_count[0])


    def add_entries(
        self, int64_t low, int64_t high, const int32_t[:, ::1] sets, const int64_t[::1] first,
        int64_t[::1] entries,
    ):
        """Add the sizes of the orders that hold each set, except the rows too long to be walked.

        sets: int32 (n, length) labels, ascending inside a row; the rows in lexicographic order.
        first: int64 (n_labels + 1,), where the sets that begin with each label begin. Only those
            whose first label is in [low, high) are looked for.
        entries: int64 (n,).
        """
        cdef RowsStruct *rows = &self.rows
        cdef int64_t last = sets.shape[1] - 1, label, begin, end, row, occurrence, place, matched
        cdef uint32_t size, here
        cdef int32_t[::1] slot = np.full(rows.n_labels, -1, dtype=np.int32)
        with nogil:
            for label in range(low, high):
                end = first[label]
                while end < first[label + 1]:
                    # The sets of [begin, end) differ in their last label alone.
                    begin = end
                    while end < first[label + 1] and not (
                        end > begin and last > 0
                        and memcmp(&sets[begin, 0], &sets[end, 0], last * sizeof(int32_t))
                    ):
                        slot[sets[end, last]] = <int32_t>end
                        end += 1
                    for occurrence in range(rows.first[label], rows.first[label + 1]):
                        if occurrence + _AHEAD < rows.first[label + 1]:
                            prefetch(rows.labels + rows.position[occurrence + _AHEAD])
                        size = rows.labels[rows.row_end[occurrence]]
                        matched = 0
                        if last == 0:
                            entries[begin] += size
                            continue
                        for place in range(rows.position[occurrence], rows.row_end[occurrence]):
                            here = rows.labels[place]
                            if matched == last:
                                if slot[here] >= 0:
                                    entries[slot[here]] += size
                            elif here == <uint32_t>sets[begin, matched]:
                                matched += 1
                            elif here > <uint32_t>sets[begin, matched]:
                                break
                    for row in range(begin, end):
                        slot[sets[row, last]] = -1


def count_items(const int32_t[::1] items, int64_t low, int64_t high, int32_t[::1] n_of_item):
    """Add the entries `items[low:high]` to `n_of_item`."""
    cdef int64_t entry
    with nogil:
        for entry in range(low, high):
            n_of_item[items[entry]] += 1


def file_block(
    const int64_t[::1] indptr, const int32_t[::1] items, const int32_t[::1] label_of, int64_t low,
    int64_t high, int64_t[::1] fill, int64_t start, uint32_t[::1] labels, uint32_t[::1] position,
    uint32_t[::1] row_end, int64_t[::1] work, bint with_sizes,
):
    """File the orders of [low, high) by label; infrequent items are left out.

    Rows come out sorted without a sort: the entries are dealt out to their labels, and then the
    labels, in ascending order, to their rows.

    indptr, items: CSR of the baskets.
    label_of: int32 (n_items,), label of each item, -1 where it is infrequent.
    fill: int64 (n_labels,), where this block's occurrences of each label begin; moved on.
    start: where this block's rows begin in `labels`.
    labels: uint32 (n,), the rows one behind the other; with sizes uint32 (n + n_orders,), behind
        each the size of its order; written.
    position, row_end: uint32 (n,), the place of each occurrence and where its row ends; written.
    work: int64 (n_labels,), entries behind each label in its rows; added to.
    """
    cdef int64_t n_labels = fill.shape[0], order, entry, slot, label, occurrence, end, behind
    cdef int32_t name
    cdef uint32_t row, place, stop, where = <uint32_t>start
    cdef int64_t[::1] first = np.array(fill)
    cdef uint32_t[:, ::1] bounds = np.empty((high - low, 2), dtype=np.uint32)
    with nogil:
        for order in range(low, high):
            bounds[order - low, 0] = where
            for entry in range(indptr[order], indptr[order + 1]):
                name = label_of[items[entry]]
                if name >= 0:
                    slot = fill[name]
                    position[slot] = <uint32_t>(order - low)
                    fill[name] = slot + 1
                    where += 1
            bounds[order - low, 1] = where
            if with_sizes:
                labels[where] = <uint32_t>(indptr[order + 1] - indptr[order])
                where += 1
        for label in range(n_labels):
            behind = 0
            end = fill[label]
            for occurrence in range(first[label], end):
                if occurrence + _AHEAD_OF_FILING < end:
                    prefetch(&bounds[position[occurrence + _AHEAD_OF_FILING], 0])
                row = position[occurrence]
                place, stop = bounds[row, 0], bounds[row, 1]
                bounds[row, 0] = place + 1
                labels[place] = <uint32_t>label
                position[occurrence] = place
                row_end[occurrence] = stop
                behind += stop - place
            work[label] += behind


def sort_sets(
    int32_t[:, ::1] sets, int64_t n_values, int64_t[::1] order, int64_t[::1] spare
):
    """Sort the inside of every row in place, and write the order that sorts the rows.

    Counting sort by each column from the last to the first, so linear in sets and values.

    sets: int32 (n, length), values in 0..n_values - 1.
    order, spare: int64 (n,); the answer, and room to work in.
    """
    cdef int64_t n_sets = sets.shape[0], length = sets.shape[1], row, right, left, column, place
    cdef int64_t *now = &order[0]
    cdef int64_t *then = &spare[0]
    cdef int32_t value
    cdef int64_t[::1] fill = np.empty(n_values + 1, dtype=np.int64)
    with nogil:
        for row in range(n_sets):
            now[row] = row
            for right in range(1, length):
                value = sets[row, right]
                left = right - 1
                while left >= 0 and sets[row, left] > value:
                    sets[row, left + 1] = sets[row, left]
                    left -= 1
                sets[row, left + 1] = value
        for column in range(length - 1, -1, -1):
            memset(&fill[0], 0, (n_values + 1) * sizeof(int64_t))
            for row in range(n_sets):
                fill[sets[row, column] + 1] += 1
            for place in range(n_values):
                fill[place + 1] += fill[place]
            for place in range(n_sets):
                value = sets[now[place], column]
                then[fill[value]] = now[place]
                fill[value] += 1
            now, then = then, now
        if now != &order[0]:
            memcpy(&order[0], now, n_sets * sizeof(int64_t))
