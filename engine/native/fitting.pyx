# The item-item model's regressions, and K-means of one dimension.

cdef enum:
    _SEARCH_FACTOR = 12  # a row so many times longer than the neighbourhood is searched, not walked


def regressions(
    const int64_t[::1] targets, const int64_t[::1] indptr, const int32_t[::1] items,
    const float[::1] values, const float[::1] diagonal, float ridge, int32_t[:, ::1] near,
    float[:, :, ::1] gram, float[:, ::1] right,
):
    """Write the equations of some items: each regressed on those most alike it.

    Of item j they are `(G_NN + ridge) w = g_Nj` over its nearest N by cosine, ascending. Where
    there are fewer neighbours than columns, the others are -1 and their weights solve to zero.

    targets: int64 (n,), the items.
    indptr, items, values: the Gram matrix without its diagonal, CSR, items ascending in a row.
    diagonal: float32 (n_items,), its diagonal.
    near: int32 (n, width); written.
    gram, right: float32 (n, width, width) and (n, width), zeros; written.
    """
    cdef int64_t width = near.shape[1], longest = 0
    cdef int64_t place, target, begin, end, n_near, row, first, last, column, item
    cdef int32_t other
    for target in targets:
        longest = max(longest, indptr[target + 1] - indptr[target])
    cdef int32_t[::1] position = np.full(diagonal.shape[0], -1, dtype=np.int32)
    cdef uint64_t[::1] found = np.empty(longest, dtype=np.uint64)
    with nogil:
        for row in range(near.shape[0]):
            target = targets[row]
            begin, end = indptr[target], indptr[target + 1]
            for place in range(begin, end):
                found[place - begin] = ranked(
                    values[place] / sqrt(diagonal[items[place]] * diagonal[target]), items[place]
                )
            n_near = take_highest(&found[0], end - begin, width)
            for place in range(n_near):
                near[row, place] = item_of(found[place])
            sort_labels(<uint32_t *>&near[row, 0], n_near)
            for place in range(n_near, width):
                near[row, place] = -1
                gram[row, place, place] = 1
            for place in range(n_near):
                position[near[row, place]] = <int32_t>place
            for place in range(begin, end):
                if position[items[place]] >= 0:
                    right[row, position[items[place]]] = values[place]
            for item in range(n_near):
                gram[row, item, item] = diagonal[near[row, item]] + ridge
                first, last = indptr[near[row, item]], indptr[near[row, item] + 1]
                if last - first > _SEARCH_FACTOR * n_near:
                    for column in range(item + 1, n_near):
                        other = near[row, column]
                        place = first_of(&items[0], first, last, other)
                        if place < last and items[place] == other:
                            gram[row, item, column] = values[place]
                            gram[row, column, item] = values[place]
                else:
                    for place in range(first, last):
                        column = position[items[place]]
                        if column > item:
                            gram[row, item, column] = values[place]
                            gram[row, column, item] = values[place]
            for place in range(n_near):
                position[near[row, place]] = -1


cdef class Cuts:
    """Memory to cut `n` values into at most `most` clusters, again and again."""

    cdef int64_t n, most
    cdef double[::1] total, squares
    cdef double[:, ::1] cost
    cdef int64_t[:, ::1] first

    def __cinit__(self, int64_t n, int64_t most):
        self.n, self.most = n, most
        self.total, self.squares = np.zeros((2, n + 1))
        self.cost = np.empty((most, n + 1))
        self.first = np.zeros((most, n + 1), dtype=np.int64)

    cdef void find(
        self, const double *values, int64_t[:, ::1] starts, double[::1] left
    ) noexcept nogil:
        """Do what `best_cuts` says."""
        cdef int64_t place, k, start, end, cluster, n = self.n
        cdef double middle = 0, inside, own, whole
        cdef const double *total = &self.total[0]
        cdef const double *squares = &self.squares[0]
        cdef double[:, ::1] cost = self.cost
        for place in range(n):
            middle += values[place] / n
        for place in range(n):
            own = values[place] - middle
            self.total[place + 1] = total[place] + own
            self.squares[place + 1] = squares[place] + own * own
        cost[:, :] = INFINITY
        for end in range(1, n + 1):
            cost[0, end] = squares[end] - total[end] * total[end] / end
        for k in range(1, self.most):
            for end in range(k + 1, n + 1):
                for start in range(end - 1, k - 1, -1):
                    inside = total[end] - total[start]
                    own = squares[end] - squares[start] - inside * inside / (end - start)
                    whole = own + cost[k - 1, start]
                    if whole < cost[k, end]:
                        cost[k, end] = whole
                        self.first[k, end] = start
                    if own > cost[k, end]:
                        break
        for k in range(self.most):
            end = n
            starts[k, :] = 0
            for cluster in range(k, 0, -1):
                end = self.first[cluster, end]
                starts[k, cluster] = end
            left[k] = max(cost[k, n], 0.0)


def best_cuts(const double[::1] values, int64_t[:, ::1] starts, double[::1] left):
    """Write, for each number of clusters k = 1..most, the first index of every cluster, and what
    they leave unexplained.

    Dynamic programming over prefixes (Wang and Song 2011, Ckmeans.1d.dp), O(most * n^2).

    values: float64 (n,), ascending.
    starts: int64 (most, most); row k - 1 holds k starts.
    left: float64 (most,), sums of squares.
    """
    cdef Cuts cuts = Cuts(values.shape[0], starts.shape[0])
    with nogil:
        cuts.find(&values[0], starts, left)


def agreement(
    const double[:, ::1] moved, const int64_t[:, ::1] order, const int64_t[:, ::1] starts,
    int64_t[:, ::1] trial, double[::1] kept,
):
    """Add the share of values that keep their cluster when moved and clustered again to `kept`.

    moved: float64 (draws, n), each row ascending.
    order: int64 (draws, n), which value each of them was.
    starts: those of `best_cuts`, int64 (most, most); `trial` is room of the same shape.
    kept: float64 (most,), zeros; the mean over draws, by number of clusters.
    """
    cdef int64_t draws = moved.shape[0], n = moved.shape[1], draw, k, place, cluster, same
    cdef Cuts cuts = Cuts(n, starts.shape[0])
    cdef double[::1] left = np.empty(starts.shape[0])
    with nogil:
        for draw in range(draws):
            cuts.find(&moved[draw, 0], trial, left)
            for k in range(starts.shape[0]):
                cluster, same = 0, 0
                for place in range(n):
                    while cluster < k and trial[k, cluster + 1] <= place:
                        cluster += 1
                    # It was in this cluster if it lay between this start and the next.
                    same += starts[k, cluster] <= order[draw, place] and (
                        cluster == k or order[draw, place] < starts[k, cluster + 1]
                    )
                kept[k] += <double>same / n / draws
