# What the kernels of a suggestion call share, as `shared.h` describes it: memory that grows, tables by
# item, sparse rows, networks; and what hands them arrays and raises their errors.
#
# These calls keep the interpreter's lock: they take microseconds, to release it and wait for it
# again would cost more. So they share one workspace; what is found in it is copied before anything
# else can run.

cdef extern from "shared.h" nogil:
    enum:
        OK
        NO_MEMORY
        BROKEN
        MOST_LAYERS
        WIDEST
        LANES
    const float NEVER
    ctypedef struct Buffer:
        void *data
        size_t size
    void *room(Buffer *buffer, size_t n, size_t each)
    ctypedef struct RowsOfMatrix "Rows":
        int64_t n_rows, n_entries
        const int64_t *indptr
        const int32_t *columns
    int row_of(const RowsOfMatrix *rows, int64_t row, int64_t *begin, int64_t *end)
    int64_t first_of(const int32_t *values, int64_t low, int64_t high, int32_t value)
    int in_cart(const int32_t *cart, int64_t n_cart, int32_t item)
    ctypedef struct Table:
        Buffer buffer
    int table_open(Table *table, int64_t most)
    int32_t table_find(const Table *table, int32_t key)
    int32_t table_add(Table *table, int32_t key, int32_t n, int *is_new)
    ctypedef struct Network:
        int64_t n_layers, n_features
        const float *mean
        const float *scale
        int64_t width[8]
        const float *weights[8]
        const float *biases[8]
        const int32_t *spans[8]
        double slope, intercept
    ctypedef struct Workspace:
        Table items, groups, past_items, past_groups, pool
        Buffer evidence, group_evidence, habits, group_habits, scores, chosen, sums, lists, orders
        Buffer out_items, out_scores, out_rules, out_marks
    ctypedef struct RankedItem:
        int32_t group
        float share, log_price, margin, popular_log, recent_log, latest_log, share_log
    ctypedef struct Ranking:
        RowsOfMatrix near, groups, leaders
        const float *near_weight
        const int32_t *near_joint
        const float *group_weight
        const float *n_orders
        const RankedItem *items
        const int32_t *popular
        int64_t n_popular
        float n_orders_all
    Workspace *mersalg_open()

_NO_MEMORY = "no memory for the kernels"
_OUTSIDE = "arrays of the model point outside of each other"

cdef Workspace *_work = mersalg_open()
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


cdef object copied(const void *data, int64_t n, kind):
    """Return `n` numbers as a read-only array."""
    return np.frombuffer((<const char *>data)[: n * np.dtype(kind).itemsize], dtype=kind)
