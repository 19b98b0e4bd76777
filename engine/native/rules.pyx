# The rules a cart fires.

def highest(const double[::1] scores, int64_t limit):
    """Return the places of the `limit` highest, highest first; ties by place.

    Each is put in its place among those found: meant for a few hundred at most.
    """
    places = np.empty(max(limit, 0), dtype=np.int64)
    cdef int64_t[::1] found = places
    return places[: counted(mersalg_highest(&scores[0], scores.shape[0], limit, &found[0]))]


cdef class NativeRules:
    """Fires the rules of a cart, filed by their first item: single-item ones, and the others."""

    cdef Filed single, several
    cdef readonly double others
    cdef list held

    def __init__(self, single, several, double others):
        """Both are `cross_sell.rule_index.RuleIndex`; consequents ascend within each first item."""
        self.held = []
        self.others = others
        self.single, self.several = self.filed(single), self.filed(several)

    cdef Filed filed(self, rules) except *:
        return Filed(
            matrix(self.held, rules.consequents),
            <const float *>address(self.held, rules.strength, np.float32),
            <const int32_t *>address(self.held, rules.rule, np.int32),
            <const int32_t *>address(self.held, rules.rest, np.int32),
            rules.rest.shape[1],
        )

    def fire(self, const int32_t[::1] cart):
        """Return the consequents of an ascending cart, ascending, and their scores.

        A score is 1 - (1 - c) * prod(1 - c_i)**others over the strongest confidence c and the
        others c_i: a noisy-or in which the others are discounted, for rules of one cart share
        orders.
        """
        cdef int32_t *items = NULL
        cdef double *strengths = NULL
        cdef int64_t n = counted(mersalg_fire(
            _work, &self.single, &self.several, &cart[0], cart.shape[0], self.others, &items,
            &strengths,
        ))
        found, strength = copied(items, n, np.int32), copied(strengths, n, np.float64)
        return found, -np.expm1(-strength)

    def strongest(self, const int32_t[::1] cart, const int32_t[::1] items):
        """Return the strongest rule the cart fires for each item; -1 where there is none."""
        rules = np.empty(items.shape[0], dtype=np.int32)
        cdef int32_t[::1] found = rules
        counted(mersalg_strongest(
            &self.single, &self.several, &cart[0], cart.shape[0], &items[0], items.shape[0],
            &found[0],
        ))
        return rules
