# The better items of a cart's items, and how likely each is taken.

_SIBLING = Struct("=5q2d")


cdef class NativeUpgrades:
    """Says how likely the upgrades of one cart are, as `engine.upsell.likelihood.Likelihood`."""

    cdef Upgrades model
    cdef Network whether, which
    cdef readonly object likelihood
    cdef list held

    def __init__(self, likelihood, packed):
        """`packed` is `PackedUpgrades` of the likelihood."""
        self.held, self.likelihood = [], likelihood
        self.model = Upgrades(
            <const LadderItem *>address(self.held, packed.items, np.float32),
            matrix(self.held, packed.moved),
            <const float *>address(self.held, likelihood.standing.move_times, np.float32),
        )
        fill_network(&self.whether, self.held, likelihood.whether)
        fill_network(&self.which, self.held, likelihood.which)

    def of_cart(self, past, questions):
        """Return the probabilities of `Likelihood.of_cart`."""
        cdef double *scores = NULL
        cdef const int32_t[::1] item = past.item
        cdef const float[::1] age = past.age
        cdef const int32_t[::1] base = questions.base
        cdef const int64_t[::1] indptr = questions.indptr
        cdef const int32_t[::1] sibling = questions.sibling
        cdef const float[::1] ratio = questions.ratio
        cdef int64_t n = counted(mersalg_upgrades(
            _work, &self.model, &self.whether, &self.which, &item[0], &age[0], item.shape[0],
            &base[0], &indptr[0], base.shape[0], &sibling[0], &ratio[0], sibling.shape[0], &scores,
        ))
        return self.likelihood.as_offered(copied(scores, n, np.float64))


cdef class NativeSiblings:
    """Finds the better items of a cart's items."""

    cdef Ladders ladders
    cdef Models models
    cdef readonly NativeUpgrades upgrades
    cdef list held

    def __init__(
        self, ladders, catalogue, n_orders_of_item, ratios, NativeUpgrades upgrades,
    ):
        """`ratios` are the least and the greatest of a better item's price to its base's;
        `upgrades` may be None."""
        self.held, self.upgrades = [], upgrades
        slope, intercept = 1.0, 0.0
        if upgrades is not None:
            self.models = Models(&upgrades.model, &upgrades.whether, &upgrades.which)
            slope = upgrades.likelihood.offer_slope
            intercept = upgrades.likelihood.offer_intercept
        self.ladders = Ladders(
            matrix(self.held, ladders.members), len(catalogue),
            <const int32_t *>address(self.held, ladders.family, np.int32),
            <const int16_t *>address(self.held, ladders.tier, np.int16),
            <const int64_t *>address(self.held, catalogue.price_minor, np.int64),
            <const int64_t *>address(self.held, catalogue.cost_minor, np.int64),
            <const int64_t *>address(self.held, n_orders_of_item, np.int64),
            ratios[0], ratios[1], slope, intercept,
        )

    def find(self, past, bases, const uint8_t[::1] marks, int64_t most):
        """Return the better items that bring something, of the highest bound first.

        bases: (item, minor units paid for one unit, 0 where not known, units) of each.
        marks: 0 where an item may be offered.
        most: how many at most.

        Each is (item, place of its base, minor units more, minor units it brings, its place among
        all, how likely it is taken, the highest expected gain it can come to).
        """
        cdef Sibling *found = NULL
        cdef const Models *models = NULL
        cdef const int32_t[::1] item = past.item
        cdef const float[::1] age = past.age
        cdef int64_t n, n_bases = len(bases)
        cdef Base *asked = <Base *>malloc((n_bases + 1) * sizeof(Base))
        if asked == NULL:
            raise MemoryError("no memory for the bases")
        if self.upgrades is not None:
            models = &self.models
        try:
            for place, (base, paid, quantity) in enumerate(bases):
                asked[<int>place] = Base(base, paid, quantity)
            n = counted(mersalg_siblings(
                _work, &self.ladders, models, &item[0], &age[0], item.shape[0], asked, n_bases, &marks[0], most, &found,
            ))
            # A copy, of which mostly only the first are looked at.
            return _SIBLING.iter_unpack((<const char *>found)[: n * sizeof(Sibling)])
        finally:
            free(asked)
