# Choosing the complements of a cart.

_CHOSEN = Struct("=d4i")


cdef class NativeComplements:
    """Chooses what goes with a cart, and finds the counts behind it."""

    cdef Shop shop
    cdef NativeRules rules
    cdef NativeRanking ranking
    cdef list held

    def __init__(
        self, NativeRules rules, NativeRanking ranking, repelled, contrary, category, family,
        price_minor,
    ):
        """`repelled` and `contrary` are the items that each item keeps away, by affinity and by
        rules; the others have shape (n_items,). `ranking` may be None."""
        self.held, self.rules, self.ranking = [], rules, ranking
        self.shop = Shop(
            NULL, &rules.single, &rules.several, matrix(self.held, repelled),
            matrix(self.held, contrary), len(category),
            <const int32_t *>address(self.held, category, np.int32),
            <const int32_t *>address(self.held, family, np.int32),
            <const int64_t *>address(self.held, price_minor, np.int64), rules.others,
        )
        if ranking is not None:
            self.shop.ranking = &ranking.model

    def choose(
        self, const int32_t[::1] cart, past, mode, const uint8_t[::1] marks,
        const int32_t[::1] blocked, double dearest, int64_t most, bint gives_way, int64_t limit,
    ):
        """Return (score, item, rule, held, joint) of the complements, best first.

        `rule` is the strongest, -1 where none fires; then `held` is an item of the cart that goes
        with it in `joint` orders, -1 where none is known to. Where rules rank, `score` is how
        strong they are together, of which the score is 1 - exp(-it). Where they are fewer than
        `limit`, there may be weaker ones.

        cart: ascends, each item once.
        marks: 0 where an item may be offered, were it not for the rest.
        blocked: families of which none may be.
        dearest: minor units, below 0 where any price will do.
        most: places of each category, which others that find no room take where it `gives_way`.
        """
        cdef Chosen *found = NULL
        cdef const int32_t[::1] item = past.item
        cdef const float[::1] age = past.age
        cdef const int64_t[::1] order = past.order
        cdef Call call = Call(
            &cart[0], cart.shape[0], &item[0], &age[0], &order[0], item.shape[0],
            mode == "discovery", &marks[0], &blocked[0], blocked.shape[0], dearest, most,
            gives_way, limit,
        )
        cdef const Network *network = NULL
        if self.ranking is not None:
            network = self.ranking.network(mode)
        cdef int64_t n = counted(mersalg_complements(_work, &self.shop, network, &call, &found))
        return _CHOSEN.iter_unpack((<const char *>found)[: n * sizeof(Chosen)])
