# Ranking the complements of a cart.

cdef class NativeRanking:
    """Ranks the complements of a cart, as `engine.ranking.ranking.Ranking` does of a batch."""

    cdef Ranking model
    cdef Network discovery, complete
    cdef list held

    def __init__(self, ranking, packed):
        """`packed` is `packed_items` of the ranking's signals."""
        self.held = held = []
        near, groups, signals = ranking.neighbours, ranking.groups, ranking.signals
        self.model.near = matrix(held, near.items)
        self.model.groups = matrix(held, groups.items)
        self.model.leaders = matrix(held, signals.leaders)
        self.model.near_weight = <const float *>address(held, near.weight, np.float32)
        self.model.near_joint = <const int32_t *>address(held, near.n_joint, np.int32)
        self.model.group_weight = <const float *>address(held, groups.weight, np.float32)
        self.model.n_orders = <const float *>address(held, signals.n_orders, np.float32)
        self.model.items = <const RankedItem *>address(held, packed, np.float32)
        self.model.popular = <const int32_t *>address(held, signals.popular, np.int32)
        self.model.n_popular = len(signals.popular)
        self.model.n_orders_all = float(signals.n_orders_all[0])
        fill_network(&self.discovery, held, ranking.scorers["discovery"])
        fill_network(&self.complete, held, ranking.scorers["complete"])

    cdef const Network *network(self, mode):
        return &self.discovery if mode == "discovery" else &self.complete

    def rank(self, const int32_t[::1] cart, past, mode):
        """Return the candidates, ascending, and how likely each is bought next."""
        cdef int32_t *items = NULL
        cdef double *scores = NULL
        cdef const int32_t[::1] item = past.item
        cdef const float[::1] age = past.age
        cdef const int64_t[::1] order = past.order
        cdef int64_t n = counted(mersalg_rank(
            _work, &self.model, self.network(mode), &cart[0], cart.shape[0], &item[0], &age[0],
            &order[0], item.shape[0], mode == "discovery", &items, &scores,
        ))
        found = copied(items, n, np.int32)
        return found, copied(scores, n, np.float64)

    def pairs(self, const int32_t[::1] items, const int32_t[::1] cart):
        """Return, for each item, the one of the cart whose pair with it is best supported by
        counts, and how many orders have both; -1 where none is known to go with it."""
        best = np.empty((2, items.shape[0]), dtype=np.int32)
        cdef int32_t[:, ::1] found = best
        counted(mersalg_pairs(
            &self.model, &cart[0], cart.shape[0], &items[0], items.shape[0], &found[0, 0],
            &found[1, 0],
        ))
        return list(zip(*best.tolist()))
