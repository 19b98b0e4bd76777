# What a suggestion call asks of the C kernels: rules, ranking, upgrades and ids.
#
# These calls keep the interpreter's lock: they take microseconds, to release it and wait for it
# again would cost more. So they share one workspace; what is found in it is copied before anything
# else can run.

cdef Workspace *_work = mersalg_open()
if _work == NULL:
    raise MemoryError("no memory for the kernels")

_CHOSEN = Struct("=d4i")
_SIBLING = Struct("=5q2d")


class BrokenArrays(ValueError):
    """A kernel was given arrays that point outside of each other."""


cdef int64_t counted(int64_t n) except -1:
    """Return what a kernel answered; raise what its errors stand for."""
    if n == -1:
        raise MemoryError("no memory for the kernels")
    if n < 0:
        raise BrokenArrays("arrays of the model point outside of each other")
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


cdef int fill_network(Network *network, list held, scorer) except -1:
    """Describe a `Scorer` to the kernels: layers as wide as a multiple of LANES.

    Raises BrokenArrays where its arrays do not fit each other, or are too many or too wide.
    """
    widths = [len(scorer.mean), *map(len, scorer.biases)]
    n_layers = len(scorer.weights)
    if (
        not 0 < n_layers <= MOST_LAYERS
        or [weights.shape for weights in scorer.weights] != list(pairwise(widths))
        or len(scorer.scale) != widths[0]
        or widths[n_layers] != 1  # the directives of this module allow no index below 0
        or max(widths) > WIDEST
    ):
        raise BrokenArrays("the layers of a network do not fit each other, or are too large")
    network.n_layers, network.n_features = n_layers, widths[0]
    network.mean = <const float *>address(held, scorer.mean, np.float32)
    network.scale = <const float *>address(held, 1 / scorer.scale, np.float32)
    network.slope, network.intercept = scorer.slope, scorer.intercept
    n_in = widths[0]
    for place, (weights, bias) in enumerate(zip(scorer.weights, scorer.biases)):
        width = (len(bias) + LANES - 1) // LANES * LANES
        wide = np.zeros((n_in, width), dtype=np.float32)
        wide[: weights.shape[0], : weights.shape[1]] = weights
        shift = np.zeros(width, dtype=np.float32)
        shift[: len(bias)] = bias
        if 0 < place == n_layers - 1:
            wide = wide[:, :1]
        network.width[<int>place] = width
        network.weights[<int>place] = <const float *>address(held, wide, np.float32)
        network.spans[<int>place] = <const int32_t *>address(held, spans(wide), np.int32)
        network.biases[<int>place] = <const float *>address(held, shift, np.float32)
        n_in = width
    return 0


def spans(weights):
    """Return, for each LANES columns, the first row with a weight and one beyond the last.

    Networks side by side are one whose weights are blocks on the diagonal.
    """
    found = np.zeros(((weights.shape[1] + LANES - 1) // LANES, 2), dtype=np.int32)
    for block in range(len(found)):
        part = weights[:, block * LANES : (block + 1) * LANES]
        used = np.flatnonzero(np.abs(part).max(axis=1, initial=0))
        if len(used):
            found[block] = used[0], used[-1] + 1
    return found


def highest(const double[::1] scores, int64_t limit):
    """Return the places of the `limit` highest, highest first; ties by place.

    Each is put in its place among those found: meant for a few hundred at most.
    """
    places = np.empty(max(limit, 0), dtype=np.int64)
    cdef int64_t[::1] found = places
    return places[: counted(mersalg_highest(&scores[0], scores.shape[0], limit, &found[0]))]


cdef class NativeFinding:
    """Finds the dense indices of many external ids; arrays as those of `Vocabulary`."""

    cdef Vocabulary known
    cdef list held

    def __init__(self, blob, offsets, sums, places):
        self.held = held = []
        self.known = Vocabulary(
            min(len(offsets) - 1, len(sums), len(places)), len(blob),
            <const uint8_t *>address(held, blob, np.uint8),
            <const int64_t *>address(held, offsets, np.int64),
            <const uint32_t *>address(held, sums, np.uint32),
            <const int32_t *>address(held, places, np.int32),
        )

    def find(self, texts):
        """Return -1 where an id is unknown; None where one spans lines, which cannot be distinguished."""
        cdef bytes asked = "\n".join(texts).encode("utf-8", "surrogatepass")
        cdef int64_t n = len(texts)
        if asked.count(b"\n") != n - 1:
            return None
        places = np.empty(n, dtype=np.int32)
        cdef int32_t[::1] found = places
        counted(
            mersalg_find(&self.known, <const uint8_t *><char *>asked, len(asked), n, &found[0])
        )
        return places.tolist()


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
