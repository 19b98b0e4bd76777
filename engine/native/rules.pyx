# The rules a cart fires.

cdef struct Filed:
    # Rules by their first item; `rest` has `width` columns, the number of items fills short rows.
    RowsOfMatrix rules  # its columns are the consequents
    const float *strength
    const int32_t *position
    const int32_t *rest
    int64_t width


cdef uint64_t *by_consequent(
    uint64_t *fired, uint64_t *other, int64_t n, int64_t n_items
) noexcept nogil:
    """Sort by what is above the low 32 bits, which keeps the order of equal ones; return the one of
    both arrays that holds the result."""
    cdef uint32_t starts[2048]
    cdef uint32_t before, count
    cdef int width = 1, bits, shift = 32, value
    cdef int64_t place
    while width < 31 and n_items > <int64_t>1 << width:
        width += 1
    bits = (width + 10) // 11
    bits = (width + bits - 1) // bits
    while shift < 32 + width:
        memset(starts, 0, sizeof(uint32_t) << bits)
        for place in range(n):
            starts[fired[place] >> shift & ((1 << bits) - 1)] += 1
        before = 0
        for value in range(1 << bits):
            count = starts[value]
            starts[value] = before
            before += count
        for place in range(n):
            value = fired[place] >> shift & ((1 << bits) - 1)
            other[starts[value]] = fired[place]
            starts[value] += 1
        fired, other = other, fired
        shift += bits
    return fired


cdef tuple evidence_of(
    tuple antecedent, double n_joint, double n_antecedent, double n_consequent, double n_orders
):
    """Return the fields of a `RuleCounts`, its lower bound as `measures.lift_lower`."""
    cdef double confidence = n_joint / n_antecedent, lift = confidence * (n_orders / n_consequent)
    cdef double variance = 1 / n_joint - 1 / n_antecedent - 1 / n_consequent + (2 * lift - 1) / n_orders
    cdef double lower = lift * exp(-1.959963984540054 * sqrt(max(variance, 0.0)))
    return antecedent, <int64_t>n_joint, <int64_t>n_antecedent, confidence, lift, lower


cdef class NativeRules:
    """Fires the rules of a cart, filed by their first item: single-item ones, and the others."""

    cdef Filed single, several
    cdef RowsOfMatrix repelled, contrary, antecedents
    cdef const int64_t[::1] n_joint, n_antecedent, n_consequent
    cdef double n_orders
    cdef readonly double others
    cdef list held

    def __init__(self, table, single, several, repelled, contrary, double others):
        """Keep the rules of a `RuleTable` as two `cross_sell.rules.RuleIndex` have them;
        consequents ascend within each first item.

        repelled, contrary: the items that each item keeps away, by affinity and by rules.
        """
        self.held = []
        self.others = others
        self.antecedents, self.n_orders = matrix(self.held, table.antecedents), table.n_orders
        self.n_joint, self.n_antecedent = table.n_joint, table.n_antecedent
        self.n_consequent = table.n_consequent
        self.single, self.several = self.filed(single), self.filed(several)
        self.repelled, self.contrary = matrix(self.held, repelled), matrix(self.held, contrary)

    cdef Filed filed(self, rules) except *:
        return Filed(
            matrix(self.held, rules.consequents),
            <const float *>address(self.held, rules.strength, np.float32),
            <const int32_t *>address(self.held, rules.rule, np.int32),
            <const int32_t *>address(self.held, rules.rest, np.int32),
            rules.rest.shape[1],
        )

    def fire(self, const int32_t[::1] cart):
        """Return the consequents of an ascending cart, ascending, and their strengths.

        A strength is that of the strongest rule and `others` times that of the others; the score is
        1 - exp(-strength) = 1 - (1 - c) * prod(1 - c_i)**others over the strongest confidence c and
        the others c_i: a noisy-or in which the others are discounted, for rules of one cart share
        orders.
        """
        cdef uint64_t *fired
        cdef const Filed *filed
        cdef int64_t most = 0, n = 0, begin = 0, end = 0, entry, kind
        cdef int64_t n_items = self.single.rules.n_rows, n_kinds = 1 + (cart.shape[0] > 1)
        cdef int32_t line, item
        cdef uint32_t bits
        cdef float strength, best
        cdef double total
        for kind in range(n_kinds):
            for line in cart:
                if not row_of(&self.of_kind(kind).rules, line, &begin, &end):
                    raise BrokenArrays(_OUTSIDE)
                most += end - begin
        fired = <uint64_t *>room(&_work.sums, most, 2 * sizeof(uint64_t))
        if fired == NULL or most > INT32_MAX:
            raise MemoryError(_NO_MEMORY)
        for kind in range(n_kinds):
            filed = self.of_kind(kind)
            for line in cart:
                row_of(&filed.rules, line, &begin, &end)
                for entry in range(begin, end):
                    if not fires(filed, entry, &cart[0], cart.shape[0], n_items):
                        continue
                    item = filed.rules.columns[entry]
                    if not 0 <= item < n_items:
                        raise BrokenArrays(_OUTSIDE)
                    memcpy(&bits, filed.strength + entry, sizeof(bits))
                    fired[n] = <uint64_t>item << 32 | bits
                    n += 1
        fired = by_consequent(fired, fired + most, n, n_items)
        found, strengths = np.empty(n, dtype=np.int32), np.empty(n)
        cdef int32_t[::1] items = found
        cdef double[::1] out = strengths
        entry, begin = 0, 0
        while begin < n:
            item, total, best = <int32_t>(fired[begin] >> 32), 0, 0
            while begin < n and <int32_t>(fired[begin] >> 32) == item:
                bits = <uint32_t>fired[begin]
                memcpy(&strength, &bits, sizeof(bits))
                total += strength
                best = max(best, strength)
                begin += 1
            items[entry], out[entry] = item, best + self.others * (total - best)
            entry += 1
        return found[:entry], strengths[:entry]

    def evidence(self, const int32_t[::1] cart, int32_t item):
        """Return the fields of a `RuleCounts`: the strongest rule the cart fires for an item, None
        where there is none."""
        cdef int64_t begin = 0, end = 0
        cdef int32_t rule = self.strongest_of(&cart[0], cart.shape[0], item)
        if rule < 0:
            return None
        if not row_of(&self.antecedents, rule, &begin, &end) or rule >= min(
            self.n_joint.shape[0], self.n_antecedent.shape[0], self.n_consequent.shape[0]
        ):
            raise BrokenArrays(_OUTSIDE)
        return evidence_of(
            tuple([self.antecedents.columns[begin] for begin in range(begin, end)]),
            self.n_joint[rule], self.n_antecedent[rule], self.n_consequent[rule], self.n_orders,
        )

    def near(self, const int32_t[::1] cart, const int32_t[::1] items, const int32_t[::1] spared):
        """Return which of some ascending items nothing in the cart keeps away, or a rule of it calls
        for, or are `spared`; None where that is all."""
        cdef int64_t begin = 0, end = 0, kind
        cdef int32_t line, item
        cdef const RowsOfMatrix *rows
        cdef uint8_t[::1] found
        kept = None
        for kind in range(2):
            rows = &self.contrary if kind else &self.repelled
            for line in cart:
                if not row_of(rows, line, &begin, &end):
                    raise BrokenArrays(_OUTSIDE)
                for begin in range(begin, end):
                    item = rows.columns[begin]
                    if (
                        not in_cart(&items[0], items.shape[0], item)
                        or self.strongest_of(&cart[0], cart.shape[0], item) >= 0
                        or item in list(spared)
                    ):
                        continue
                    if kept is None:
                        kept = np.ones(items.shape[0], dtype=np.bool_)
                        found = kept.view(np.uint8)
                    found[first_of(&items[0], 0, items.shape[0], item)] = 0
        return kept

    cdef const Filed *of_kind(self, int64_t kind) noexcept:
        return &self.several if kind else &self.single

    cdef int32_t strongest_of(
        self, const int32_t *cart, int64_t n_cart, int32_t item
    ) except? -2:
        """Return the strongest rule of the cart that leads to an item, -1 where there is none."""
        cdef int64_t begin = 0, end = 0, kind, line
        cdef int32_t rule = -1
        cdef float best = -1
        cdef const Filed *filed
        for kind in range(1 + (n_cart > 1)):
            filed = self.of_kind(kind)
            for line in range(n_cart):
                if not row_of(&filed.rules, cart[line], &begin, &end):
                    raise BrokenArrays(_OUTSIDE)
                begin = first_of(filed.rules.columns, begin, end, item)
                while begin < end and filed.rules.columns[begin] == item:
                    if filed.strength[begin] > best and fires(filed, begin, cart, n_cart, self.single.rules.n_rows):
                        best, rule = filed.strength[begin], filed.position[begin]
                    begin += 1
        return rule


cdef inline bint fires(
    const Filed *filed, int64_t entry, const int32_t *cart, int64_t n_cart, int64_t n_items
) noexcept:
    """Return whether the cart holds the rest of a rule's antecedent."""
    cdef int64_t place
    cdef int32_t other
    for place in range(filed.width):
        other = filed.rest[entry * filed.width + place]
        if other != n_items and not in_cart(cart, n_cart, other):
            return False
    return True
