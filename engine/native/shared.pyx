# What the kernels of a suggestion call share: memory that grows, tables by item, sparse rows; and
# what hands them arrays and raises their errors.
#
# Every array comes with its length, and what is read from one is checked before it is used as a
# place in another: a broken model gives an error, never a read outside of it.
#
# These calls keep the interpreter's lock: they take microseconds, to release it and wait for it
# again would cost more. So they share one workspace; what is found in it is copied before anything
# else can run.

cdef extern from * nogil:
    void prefetch "__builtin_prefetch"(const void *)

cdef enum:
    OK = 0
    NO_MEMORY = -1
    BROKEN = -2
    NEVER = 999  # days since a purchase that never was
    MAX_LAYERS = 8
    WIDEST = 4096
    LANES = 16  # layers of a network are as wide as a multiple of this

# Memory that grows and is kept from call to call.
cdef struct Buffer:
    void *data
    size_t size

# Open addressing from a number to its place in an array of entries, in order of arrival.
cdef struct Slot:
    int32_t key, place  # both -1 where free

cdef struct Table:
    Buffer buffer
    Slot *slots
    uint32_t mask

# Rows of a sparse matrix.
cdef struct RowsOfMatrix:
    int64_t n_rows, n_entries
    const int64_t *indptr
    const int32_t *columns

# Standardise, rectified layers, one output.
cdef struct Network:
    int64_t n_layers, n_features
    const float *mean
    const float *scale  # one over it
    int64_t width[MAX_LAYERS]
    # (width before, width); of the last, if it is not the first: (width before,)
    const float *weights[MAX_LAYERS]
    const float *biases[MAX_LAYERS]
    # Of each LANES columns of a layer: the first row with a weight, and one beyond the last.
    const int32_t *spans[MAX_LAYERS]
    double slope, intercept

# All that calls of one thread keep.
cdef struct Workspace:
    Table items, groups, past_items, past_groups, pool
    Buffer evidence, group_evidence, habits, group_habits, scores, chosen, sums, lists, orders
    Buffer out_items, out_scores, out_rules, out_marks

# What an item is by itself, in one line of a processor's cache: candidates lie far apart.
cdef struct RankedItem:
    int32_t group
    float share, log_price, margin, popular_log, recent_log, latest_log, share_log
    float unused[8]

# `mersalg.engine.ranking.ranking.Ranking`; each array of items has `near.n_rows` numbers.
cdef struct Ranking:
    RowsOfMatrix near, groups, leaders
    const float *near_weight
    const int32_t *near_joint
    const float *group_weight
    const float *n_orders
    const RankedItem *items
    const int32_t *popular
    int64_t n_popular
    float n_orders_all


cdef void *room(Buffer *buffer, size_t n, size_t each) noexcept nogil:
    """Return room for `n` things of `each` bytes, or NULL; what it held is lost where it grows."""
    if each and n > SIZE_MAX // 4 // each:
        return NULL
    cdef size_t size = n * each + 64
    if buffer.size < size:
        size = max(size, 2 * buffer.size)
        free(buffer.data)
        buffer.data = malloc(size)
        buffer.size = size if buffer.data else 0
    return buffer.data


cdef inline bint row_of(
    const RowsOfMatrix *rows, int64_t row, int64_t *begin, int64_t *end
) noexcept nogil:
    """Write where a row begins and ends; return whether it exists and is inside of the matrix."""
    if row < 0 or row >= rows.n_rows:
        return False
    begin[0], end[0] = rows.indptr[row], rows.indptr[row + 1]
    return 0 <= begin[0] <= end[0] <= rows.n_entries


ctypedef fused Whole:
    int32_t
    uint32_t
    int64_t


cdef inline int64_t first_of(
    const Whole *values, int64_t low, int64_t high, Whole value
) noexcept nogil:
    """Return the first place from `low` to `high` of ascending values that is not below `value`."""
    cdef int64_t middle
    while low < high:
        middle = low + (high - low) // 2
        if values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline bint in_cart(const int32_t *cart, int64_t n_cart, int32_t item) noexcept nogil:
    """Return whether an ascending cart holds an item."""
    cdef int64_t place = first_of(cart, 0, n_cart, item)
    return place < n_cart and cart[place] == item


cdef int table_open(Table *table, int64_t most) noexcept nogil:
    """Empty a table that is to hold `most` keys."""
    cdef uint32_t size = 64
    if most > 1 << 28:
        return NO_MEMORY
    while size < 2 * most:
        size *= 2
    table.slots = <Slot *>room(&table.buffer, size, sizeof(Slot))
    if not table.slots:
        return NO_MEMORY
    table.mask = size - 1
    memset(table.slots, 0xFF, size * sizeof(Slot))
    return OK


cdef inline Slot *slot_of(const Table *table, int32_t key) noexcept nogil:
    cdef uint32_t slot = (<uint32_t>key * <uint32_t>2654435769) >> 7 & table.mask
    while table.slots[slot].key != key and table.slots[slot].key >= 0:
        slot = (slot + 1) & table.mask
    return table.slots + slot


cdef inline int32_t table_find(const Table *table, int32_t key) noexcept nogil:
    """Return the place of a key; -1 where it is not in the table, as -1 never is."""
    cdef const Slot *slot = slot_of(table, key)
    return slot.place if slot.key == key else -1


cdef inline int32_t table_add(Table *table, int32_t key, int32_t n, int *is_new) noexcept nogil:
    """Return the place of a key, which is `n` (and `is_new`) where it comes for the first time."""
    cdef Slot *slot = slot_of(table, key)
    is_new[0] = slot.key != key
    if is_new[0]:
        slot[0] = Slot(key, n)
    return slot.place


cdef inline uint64_t ranked(float score, int32_t item) noexcept nogil:
    """Pack an item so that integers sort as the scores do, NaN below all; of equal ones the lower
    item is higher."""
    cdef uint32_t bits = 0
    if score == score:
        memcpy(&bits, &score, sizeof(bits))
        bits = ~bits if bits >> 31 else bits | <uint32_t>1 << 31
    return <uint64_t>bits << 32 | <uint32_t>~item


cdef inline int32_t item_of(uint64_t value) noexcept nogil:
    """Return the item of a `ranked` value."""
    return ~<int32_t>value


cdef int64_t take_highest(uint64_t *values, int64_t n, int64_t limit) noexcept nogil:
    """Move the `limit` highest of distinct values to the front; return how many there are."""
    cdef int64_t low = 0, high = n - 1, place, store = -1
    cdef uint64_t pivot, value
    while limit < n and low < high and store != limit and store != limit - 1:
        place = low + (high - low) // 2
        pivot = values[place]
        values[place] = values[high]
        store = low
        for place in range(low, high):
            # Without a branch, of which nobody could predict where it goes.
            value = values[place]
            values[place] = values[store]
            values[store] = value
            store += value > pivot
        values[high] = values[store]
        values[store] = pivot
        if store < limit:
            low = store + 1
        else:
            high = store - 1
    return min(n, limit)


cdef int sort_items(int32_t *items, int64_t n, Buffer *buffer) noexcept nogil:
    """Sort items, none below zero, ascending."""
    cdef int32_t *other = <int32_t *>room(buffer, n, sizeof(int32_t))
    cdef int32_t *start = items
    cdef int64_t starts[513]
    cdef int64_t place
    cdef int32_t most = 0
    cdef int shift = 0, digit
    if not other:
        return NO_MEMORY
    for place in range(n):
        most = max(most, items[place])
    while shift < 31 and most >> shift:
        memset(starts, 0, sizeof(starts))
        for place in range(n):
            starts[(start[place] >> shift & 511) + 1] += 1
        for digit in range(512):
            starts[digit + 1] += starts[digit]
        for place in range(n):
            digit = start[place] >> shift & 511
            other[starts[digit]] = start[place]
            starts[digit] += 1
        start, other = other, start
        shift += 9
    if start != items:
        memcpy(items, start, n * sizeof(int32_t))
    return OK


_NO_MEMORY = "no memory for the kernels"
_OUTSIDE = "arrays of the model point outside of each other"

cdef Workspace *_work = <Workspace *>calloc(1, sizeof(Workspace))
if _work == NULL:
    raise MemoryError(_NO_MEMORY)


cdef void close_workspace(Workspace *work) noexcept nogil:
    """Free a workspace and what it grew to."""
    cdef Table *table = &work.items
    cdef Buffer *buffer = &work.evidence
    while table <= &work.pool:
        free(table.buffer.data)
        table += 1
    while buffer <= &work.out_marks:
        free(buffer.data)
        buffer += 1
    free(work)


class BrokenArrays(ValueError):
    """A kernel was given arrays that point outside of each other."""


cdef int64_t counted(int64_t n) except -1:
    """Return what a kernel answered; raise what its errors stand for."""
    if n == -1:
        raise MemoryError(_NO_MEMORY)
    if n < 0:
        raise BrokenArrays(_OUTSIDE)
    return n


cdef const void *address(list held, array, kind) except NULL:
    """Return the address of an array, which `held` keeps, copied only where it is not of `kind`
    and contiguous already."""
    whole = np.ascontiguousarray(array, dtype=kind)
    held.append(whole)
    return <const void *><size_t>whole.__array_interface__["data"][0]


cdef RowsOfMatrix matrix(list held, rows) except *:
    """Describe a `Ragged` of items."""
    return RowsOfMatrix(
        len(rows), len(rows.values), <const int64_t *>address(held, rows.indptr, np.int64),
        <const int32_t *>address(held, rows.values, np.int32),
    )


_ITEMS, _SCORES = np.dtype(np.int32), np.dtype(np.float64)


cdef object copied(const void *data, int64_t n, kind):
    """Return `n` numbers as a read-only array."""
    return np.frombuffer((<const char *>data)[: n * kind.itemsize], kind)
