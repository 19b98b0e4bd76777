# Choosing among the complements of a cart.

cdef enum:
    _FEW = 256  # more are sooner sorted than put in their place one by one
    _TOO_DEAR = 13  # as `mersalg.engine.merchandising.reasons.Reason`
    _SENSITIVE = 14
    _SUBSTITUTE = 15

def highest(const double[::1] scores, int64_t limit):
    """Return the places of the `limit` highest, highest first; ties by place."""
    cdef int64_t n = scores.shape[0], held = 0, place, at
    if limit > _FEW:
        return np.argsort(np.negative(scores), kind="stable")[:limit]
    highest = np.empty(max(limit, 0), dtype=np.int64)
    cdef int64_t[::1] found = highest
    for place in range(n if limit > 0 else 0):
        if held == limit:
            if scores[place] <= scores[found[held - 1]]:
                continue
            held -= 1
        at = held
        while at > 0 and scores[found[at - 1]] < scores[place]:
            found[at] = found[at - 1]
            at -= 1
        found[at] = place
        held += 1
    return highest[:held]


def mark(uint8_t[::1] marks, const int32_t[::1] items, int reason):
    """Set the reason of items where nothing, or a reason with a higher number, is set."""
    cdef int64_t place
    cdef int32_t item
    for place in range(items.shape[0]):
        item = items[place]
        if not 0 <= item < marks.shape[0]:
            raise BrokenArrays(_OUTSIDE)
        if marks[item] == 0 or marks[item] > reason:
            marks[item] = reason


def restore(uint8_t[::1] marks, const uint8_t[::1] others, list changed):
    """Set the marks of all items in the arrays of `changed` to those of `others`."""
    cdef const int32_t[::1] items
    cdef int64_t place
    for items in changed:
        for place in range(items.shape[0]):
            if not 0 <= items[place] < min(marks.shape[0], others.shape[0]):
                raise BrokenArrays(_OUTSIDE)
            marks[items[place]] = others[items[place]]


cdef struct Beside:
    const uint8_t *marks
    const int32_t *families
    int64_t n_families
    double dearest
    int32_t sensitive


cdef class NativeEligibility:
    """Says why items are not offered beside a cart, and chooses among those that may be."""

    cdef const int32_t[::1] category, substitutes, sensitive
    cdef const int64_t[::1] price

    def __init__(self, category, substitutes, sensitive, price_minor):
        """Arrays of shape (n_items,): codes below 0 where an item has no category, no family whose
        members exclude each other, or is of no sensitive category."""
        self.category, self.substitutes = category, substitutes
        self.sensitive, self.price = sensitive, price_minor

    def held(self, const int32_t[::1] cart, uint8_t[::1] marks, int reason):
        """Mark what a cart holds; return the families of it, ascending, and the sensitive category
        that all of it is of, -1 where there is no such one."""
        cdef int64_t place, n_found = 0
        cdef int32_t sensitive = -1
        families = np.empty(cart.shape[0], dtype=np.int32)
        cdef int32_t[::1] found = families
        for place in range(cart.shape[0]):
            if not 0 <= cart[place] < min(marks.shape[0], self.price.shape[0]):
                raise BrokenArrays(_OUTSIDE)
            marks[cart[place]] = reason
            if self.substitutes[cart[place]] >= 0:
                found[n_found] = self.substitutes[cart[place]]
                n_found += 1
            if place == 0:
                sensitive = self.sensitive[cart[place]]
            elif self.sensitive[cart[place]] != sensitive:
                sensitive = -1
        # An array's own sort lets other threads go first, in the middle of a call.
        sort_labels(<uint32_t *>&found[0], n_found)
        return families[:n_found], sensitive

    def reasons(
        self, const int32_t[::1] items, const uint8_t[::1] marks, const int32_t[::1] families,
        double dearest, int32_t sensitive,
    ):
        """Return the `Reason` of each item as a number, 0 where it may be offered.

        marks: uint8 (n_items,), the reasons known beforehand.
        families: ascending; their members replace something in the cart.
        dearest: minor units.
        sensitive: the only sensitive category that may be offered, if any.
        """
        cdef Beside beside = self.beside(marks, families, dearest, sensitive)
        cdef int64_t place
        found = np.empty(items.shape[0], dtype=np.uint8)
        cdef uint8_t[::1] reasons = found
        for place in range(items.shape[0]):
            reasons[place] = self.reason(&beside, items[place])
        return found

    def choose(
        self, const int32_t[::1] items, const double[::1] scores, const uint8_t[::1] marks,
        const int32_t[::1] families, double dearest, int32_t sensitive, list taken, int64_t most,
        bint gives_way, int64_t limit,
    ):
        """Return at most `limit` items that may be offered, with their scores, the best first; of a
        family whose members exclude each other one at most.

        taken: what is offered already.
        most: how many of one category; where this `gives_way`, others get places nothing else can
            fill.
        """
        cdef Beside beside = self.beside(marks, families, dearest, sensitive)
        cdef int64_t n = items.shape[0], width = 4 * min(max(limit, 1), n), place
        cdef int64_t[::1] order
        cdef int32_t item
        cdef list slate, places, crowded
        for item in taken:
            self.reason(&beside, item)  # raises where there is no such item
        while True:
            slate, places, crowded = list(taken), [], []
            # Few are looked at where these fill the slate.
            order = highest(scores, width)
            for place in order:
                if len(places) >= limit:
                    break
                item = items[place]
                if self.reason(&beside, item) or self.is_replaced(slate, item):
                    continue
                if self.has_room(slate, item, most):
                    slate.append(item)
                    places.append(place)
                else:
                    crowded.append(place)
            if width >= n or len(places) >= limit:
                break
            width *= 4
        for place in crowded if gives_way else ():
            if len(places) < limit and not self.is_replaced(slate, items[place]):
                slate.append(items[place])
                places.append(place)
        return [(items[place], scores[place]) for place in places]

    cdef Beside beside(
        self, const uint8_t[::1] marks, const int32_t[::1] families, double dearest,
        int32_t sensitive,
    ) except *:
        cdef int64_t n = self.price.shape[0]
        if not n == marks.shape[0] == self.category.shape[0] == self.substitutes.shape[0] == self.sensitive.shape[0]:
            raise BrokenArrays(_OUTSIDE)
        return Beside(&marks[0], &families[0], families.shape[0], dearest, sensitive)

    cdef inline int reason(self, const Beside *beside, int32_t item) except -1:
        cdef int found
        cdef int32_t family
        if not 0 <= item < self.price.shape[0]:
            raise BrokenArrays(_OUTSIDE)
        found, family = beside.marks[item], self.substitutes[item]
        if self.price[item] > beside.dearest and not 0 < found < _TOO_DEAR:
            found = _TOO_DEAR
        if self.sensitive[item] not in (-1, beside.sensitive) and not 0 < found < _SENSITIVE:
            found = _SENSITIVE
        if not 0 < found < _SUBSTITUTE and family >= 0 and in_cart(
            beside.families, beside.n_families, family
        ):
            found = _SUBSTITUTE
        return found

    cdef bint has_room(self, list slate, int32_t item, int64_t most) except -1:
        """Return whether the slate holds less than `most` of the item's category."""
        cdef int32_t other
        if self.category[item] >= 0:
            for other in slate:
                most -= self.category[other] == self.category[item]
        return most > 0

    cdef bint is_replaced(self, list slate, int32_t item) except -1:
        """Return whether the slate holds one of the item's family, whose members exclude each
        other."""
        cdef int32_t other
        if self.substitutes[item] >= 0:
            for other in slate:
                if self.substitutes[other] == self.substitutes[item]:
                    return True
        return False
