# From itemsets to rules, and how many orders hold given rules.
#
# The sets of each length, in lexicographic order, are the leaves of a trie: the parent of a set is
# the set of its items but the last, and the children of a set lie side by side, their last items
# ascending.


def first_children(
    const int32_t[:, ::1] rows, const int32_t[:, ::1] shorter, int64_t[::1] first
):
    """Write where the sets that begin with each row of `shorter` begin; int64 (n_shorter + 1,).

    Returns False where a row begins with nothing listed, or the rows are out of order.
    """
    cdef int64_t n_rows = rows.shape[0], length = rows.shape[1], n_shorter = shorter.shape[0]
    cdef int64_t parent = 0, row, place, after
    cdef bint same
    with nogil:
        first[0] = 0
        for row in range(n_rows):
            while parent < n_shorter:
                same = True
                for place in range(length - 1):
                    if shorter[parent, place] != rows[row, place]:
                        same = False
                        break
                if same:
                    break
                parent += 1
                first[parent] = row
            if parent == n_shorter:
                break
        for after in range(parent + 1, n_shorter + 1):
            first[after] = n_rows
    return not n_rows or parent < n_shorter


cdef int64_t child(
    const int32_t[:, ::1] rows, int64_t begin, int64_t end, int32_t item
) noexcept nogil:
    """Return the row of [begin, end) whose last item is `item`, or -1."""
    cdef int64_t last = rows.shape[1] - 1, middle
    while begin < end:
        middle = (begin + end) // 2
        if rows[middle, last] < item:
            begin = middle + 1
        elif rows[middle, last] > item:
            end = middle
        else:
            return middle
    return -1


def step_down(
    const int64_t[::1] parents, const int32_t[::1] items, const int64_t[::1] first,
    const int32_t[:, ::1] rows, int64_t[::1] found,
):
    """Write the children of `parents` by their last items; False where one is not listed."""
    cdef int64_t place
    cdef bint listed = True
    with nogil:
        for place in range(parents.shape[0]):
            found[place] = child(
                rows, first[parents[place]], first[parents[place] + 1], items[place]
            )
            if found[place] < 0:
                listed = False
                break
    return listed


def drop_each(
    const int32_t[:, ::1] rows, const int64_t[::1] first, const int64_t[:, ::1] above,
    const int64_t[::1] shorter_first, const int32_t[:, ::1] shorter, int64_t[:, ::1] parts,
):
    """Write the row of each set without each of its items among the sets one item shorter.

    rows, first: int32 (n, length) sets, and `first_children` of the shorter ones.
    above: int64 (n_shorter, length - 1), the same answer one length shorter.
    shorter_first, shorter: `first_children` of the sets two items shorter, and int32
        (n_shorter, length - 1).
    parts: int64 (n, length), the answer: entry (s, p) is set s without the item at place p.

    Returns False where one is not listed.
    """
    cdef int64_t length = rows.shape[1], parent, row, place, without, found = 0
    with nogil:
        for parent in range(first.shape[0] - 1):
            for row in range(first[parent], first[parent + 1]):
                parts[row, length - 1] = parent
                for place in range(length - 1):
                    without = above[parent, place]
                    found = child(
                        shorter, shorter_first[without], shorter_first[without + 1],
                        rows[row, length - 1],
                    )
                    if found < 0:
                        break
                    parts[row, place] = found
                if found < 0:
                    break
            if found < 0:
                break
    return found >= 0


def write_rules(
    const int32_t[:, ::1] rows, const int64_t[:, ::1] parts, const int64_t[::1] counts,
    const int32_t[:, ::1] shorter, const int64_t[::1] shorter_counts,
    const int64_t[::1] n_of_item, int64_t[::1] fill, int32_t[:, ::1] antecedent_items,
    int32_t[::1] consequent, int64_t[::1] n_joint, int64_t[::1] n_antecedent,
    int64_t[::1] n_consequent,
):
    """Write the rules of sets, by antecedent and then by consequent.

    Sets in lexicographic order bring each antecedent's consequents in ascending order, since sets
    that differ in one item alone are in the order of that item.

    rows, shorter: int32 (n, length) and (n_shorter, length - 1).
    parts: int64 (n, length), see `drop_each`.
    n_of_item: int64 (greatest item + 1,), orders of each single item.
    fill: int64 (n_shorter,), where the rules of each antecedent begin; moved on.
    antecedent_items: int32 (n_rules, length - 1); written, as are the columns after it.
    """
    cdef int64_t length = rows.shape[1], row, place, column, antecedent, rule
    with nogil:
        for row in range(rows.shape[0]):
            for place in range(length):
                antecedent = parts[row, place]
                rule = fill[antecedent]
                fill[antecedent] = rule + 1
                for column in range(length - 1):
                    antecedent_items[rule, column] = shorter[antecedent, column]
                consequent[rule] = rows[row, place]
                n_joint[rule] = counts[row]
                n_antecedent[rule] = shorter_counts[antecedent]
                n_consequent[rule] = n_of_item[rows[row, place]]


def orders_by_item(
    const int64_t[::1] indptr, const int32_t[::1] items, int64_t[::1] first, int64_t[::1] orders
):
    """File the orders by item: those of item i ascend from `orders[first[i]]` on.

    first: int64 (n_items + 2,), zeros; its last place is only room to work in.
    orders: int64 (n_entries,).
    """
    cdef int64_t order, entry, item, n_items = first.shape[0] - 2
    with nogil:
        # Two places ahead, so that filling moves each beginning to where it belongs.
        for entry in range(items.shape[0]):
            first[items[entry] + 2] += 1
        for item in range(n_items):
            first[item + 2] += first[item + 1]
        for order in range(indptr.shape[0] - 1):
            for entry in range(indptr[order], indptr[order + 1]):
                item = items[entry]
                orders[first[item + 1]] = order
                first[item + 1] += 1


def tally_items(
    const int64_t[::1] first, const int64_t[::1] orders, const int32_t[::1] items,
    const int64_t[::1] part, int64_t[:, ::1] n_held,
):
    """Add the orders that hold each of `items`, by part, to `n_held`, int64 (n, n_parts)."""
    cdef int64_t place, position
    with nogil:
        for place in range(items.shape[0]):
            for position in range(first[items[place]], first[items[place] + 1]):
                n_held[place, part[orders[position]]] += 1


cdef bint holds(const int32_t *row, int64_t n_row, const int32_t *items, int64_t n) noexcept nogil:
    """Return whether an ascending row holds every one of a few ascending items."""
    cdef int64_t entry, place = 0
    for entry in range(n_row):
        if row[entry] == items[place]:
            place += 1
            if place == n:
                return True
        elif row[entry] > items[place]:
            return False
    return False


def tally(
    const int64_t[::1] indptr, const int32_t[::1] items, const int64_t[::1] first,
    const int64_t[::1] orders, const int32_t[:, ::1] antecedents, const int64_t[::1] bounds,
    const int32_t[::1] consequents, const int64_t[::1] part, const int64_t[::1] weight,
    int64_t[::1] slot, int64_t[:, ::1] n_antecedent, int64_t[:, ::1] n_joint,
):
    """Add up the weights of the orders that hold each antecedent, and each rule, by part.

    antecedents: int32 (n_distinct, length), ascending inside a row; rules
        `bounds[a]:bounds[a + 1]` begin with antecedent a.
    consequents: int32 (n_rules,).
    part, weight: int64 (n_orders,), of each order.
    slot: int64 (n_items,), all -1, and so again afterwards.
    n_antecedent, n_joint: int64 (n_rules, n_parts), zeros; the answer.
    """
    cdef int64_t length = antecedents.shape[1], antecedent, rule, position, order, entry, place
    cdef int64_t begin, end
    cdef int32_t item, rarest
    with nogil:
        for antecedent in range(antecedents.shape[0]):
            rarest = antecedents[antecedent, 0]
            for place in range(1, length):
                item = antecedents[antecedent, place]
                if first[item + 1] - first[item] < first[rarest + 1] - first[rarest]:
                    rarest = item
            begin, end = bounds[antecedent], bounds[antecedent + 1]
            for rule in range(begin, end):
                slot[consequents[rule]] = rule
            for position in range(first[rarest], first[rarest + 1]):
                order = orders[position]
                if length > 1 and not holds(
                    &items[indptr[order]], indptr[order + 1] - indptr[order],
                    &antecedents[antecedent, 0], length,
                ):
                    continue
                n_antecedent[begin, part[order]] += weight[order]
                for entry in range(indptr[order], indptr[order + 1]):
                    rule = slot[items[entry]]
                    if rule >= 0:
                        n_joint[rule, part[order]] += weight[order]
            for rule in range(begin, end):
                slot[consequents[rule]] = -1
                if rule > begin:
                    n_antecedent[rule, :] = n_antecedent[begin, :]


def upper_tails(
    int64_t low, int64_t high, const int64_t[::1] at_least, const int64_t[::1] total,
    const int64_t[::1] marked, const int64_t[::1] drawn, double[::1] tails,
):
    """Write P(X >= at_least) into `tails[low:high]`: of `drawn` out of `total`, X are `marked`.

    The sum of the ratios of point probabilities, from the point away from the mode.
    """
    cdef int64_t place
    cdef double x, n, k, m, term, terms, tail
    cdef bint upwards
    with nogil:
        for place in range(low, high):
            x, m = <double>at_least[place], <double>total[place]
            n, k = <double>drawn[place], <double>marked[place]
            if x <= max(0.0, n + k - m):
                tails[place] = 1.0
                continue
            if x > min(n, k):
                tails[place] = 0.0
                continue
            upwards = x * m > n * k
            if not upwards:
                x -= 1.0
            tail = exp(log_choose(k, x) + log_choose(m - k, n - x) - log_choose(m, n))
            term, terms = 1.0, 1.0
            while term > 1e-16 * terms:
                if upwards:
                    term *= (k - x) * (n - x) / ((x + 1) * (m - k - n + x + 1))
                    x += 1.0
                else:
                    term *= x * (m - k - n + x) / ((k - x + 1) * (n - x + 1))
                    x -= 1.0
                terms += term
            tail *= terms
            tails[place] = min(tail, 1.0) if upwards else max(1.0 - tail, 0.0)


def poisson_tails(
    int64_t low, int64_t high, const int64_t[::1] at_least, const double[::1] expected,
    double[::1] tails,
):
    """Write P(X >= at_least) into `tails[low:high]`, X being Poisson of mean `expected`.

    The sum of the ratios of point probabilities, from the point away from the mean.
    """
    cdef int64_t place
    cdef double x, mean, term, terms, tail
    cdef bint upwards
    with nogil:
        for place in range(low, high):
            x, mean = <double>at_least[place], expected[place]
            if x <= 0.0 or not mean > 0.0:
                tails[place] = 1.0 if x <= 0.0 else 0.0
                continue
            upwards = x > mean
            if not upwards:
                x -= 1.0
            tail = exp(x * log(mean) - mean - lgamma(x + 1))
            term, terms = 1.0, 1.0
            while term > 1e-16 * terms:
                if upwards:
                    x += 1.0
                    term *= mean / x
                else:
                    term *= x / mean
                    x -= 1.0
                terms += term
            tail *= terms
            tails[place] = min(tail, 1.0) if upwards else max(1.0 - tail, 0.0)


cdef double log_choose(double n, double k) noexcept nogil:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
