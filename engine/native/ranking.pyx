# Ranking the complements of a cart: the signals of each candidate and what a network makes of them.

cdef enum:
    ROWS = 8  # candidates that go through the layers of a network together


cdef GroupFacts facts_of(
    const Workspace *work, const Ranking *model, const Scene *scene, int32_t group
) noexcept nogil:
    """Return what is known of a group; -1 is none."""
    cdef GroupFacts facts = GroupFacts(0, 0, &UNUSED)
    cdef int32_t place
    if group >= 0:
        facts.held = group_held(model, scene.cart, scene.n_cart, group)
        place = table_find(&work.groups, group)
        if place >= 0:
            facts.weight = scene.group_weight[place]
        place = table_find(&work.past_groups, group)
        if place >= 0:
            facts.habit = scene.group_habits + place
    return facts


cdef inline const Called *called_of(
    const Workspace *work, const Scene *scene, int32_t item
) noexcept nogil:
    cdef int32_t place = table_find(&work.items, item)
    return scene.evidence + place if place >= 0 else &UNCALLED


cdef inline const Habit *habit_of(
    const Workspace *work, const Scene *scene, int32_t item
) noexcept nogil:
    cdef int32_t place = table_find(&work.past_items, item)
    return scene.habits + place if place >= 0 else &UNUSED


cdef inline int put_rows(
    const Network *network, const Columns *columns, const ComplementSignals *s,
    const float *counted, int32_t *row, float *value, int at,
) noexcept nogil:
    """Write signals as the network takes them, less what of each is `counted` already."""
    memcpy(row + at, columns.column, columns.n * sizeof(int32_t))
    standardise(
        columns.n, columns.column, <const float *>s, network.mean, network.scale, counted, value + at
    )
    return at + columns.n


cdef int score_pool(
    Workspace *work, const Ranking *model, const Network *network, const Scene *scene,
    const int32_t *pool, int64_t n, double *scores,
) noexcept nogil:
    """Write how likely each candidate is bought next.

    Most signals are the same for all candidates of a group, or of the cart, or of all that nothing
    is known of: the first layer adds up each of these once, and only the rest by candidate. Groups
    that neither cart nor customer is known to have to do with are one.
    """
    cdef int64_t width = network.width[0], candidate, n_groups = 0, unmet = -1
    cdef float *spare = <float *>room(
        &work.sums, 2 * ROWS * WIDEST + (ROWS + n + 2) * width, sizeof(float)
    )
    cdef GroupFacts *facts = <GroupFacts *>room(&work.chosen, n + 1, sizeof(GroupFacts))
    if not spare or not facts or table_open(&work.pool, n + 1):
        return NO_MEMORY
    cdef float *rows = spare + 2 * ROWS * WIDEST
    cdef float *base = rows + ROWS * width
    cdef float *of_group = base + width
    cdef float *own
    cdef float nothing[N_COMPLEMENT_SIGNALS]
    cdef float value[N_COMPLEMENT_SIGNALS]
    cdef int32_t row[N_COMPLEMENT_SIGNALS]
    cdef float outputs[ROWS]
    cdef ComplementSignals s
    cdef const Called *called
    cdef const Habit *habit
    cdef const RankedItem *item
    cdef GroupFacts *group
    cdef GroupFacts met
    cdef int many, is_new, ignored
    cdef bint is_unmet = False
    cdef int64_t place, first = 0
    memset(&s, 0, sizeof(s))
    write_cart(scene, &s)
    write_evidence(&UNCALLED, scene, &s)
    write_habit(&UNUSED, scene, &s)
    standardise(
        N_COMPLEMENT_SIGNALS, EVERY, <float *>&s, network.mean, network.scale, NULL, nothing
    )
    many = put_rows(network, &OF_CART, &s, NULL, row, value, 0)
    many = put_rows(network, &OF_EVIDENCE, &s, NULL, row, value, many)
    many = put_rows(network, &OF_HABIT, &s, NULL, row, value, many)
    memcpy(base, network.biases[0], width * sizeof(float))
    add_rows(many, row, value, network.weights[0], width, base)
    for candidate in range(n):
        item = model.items + pool[candidate]
        if candidate + AHEAD < n:
            prefetch(model.items + pool[candidate + AHEAD])
        if item.group < -1 or item.group >= model.groups.n_rows:
            return BROKEN
        place = table_find(&work.pool, item.group + 1)
        is_new = place < 0
        if is_new:
            met = facts_of(work, model, scene, item.group)
            is_unmet = met.weight == 0 and met.held == 0 and met.habit == &UNUSED
            is_new = not is_unmet or unmet < 0
            place = n_groups if is_new else unmet
            table_add(&work.pool, item.group + 1, <int32_t>place, &ignored)
        group = facts + place
        if is_new:
            if is_unmet:
                unmet = place
            n_groups += 1
            group[0] = met
            write_group(group, scene, &s)
            many = put_rows(network, &OF_GROUP, &s, NULL, row, value, 0)
            memcpy(of_group + place * width, base, width * sizeof(float))
            add_rows(many, row, value, network.weights[0], width, of_group + place * width)
        called = called_of(work, scene, pool[candidate])
        habit = habit_of(work, scene, pool[candidate])
        write_item(item, group, habit.times, scene, &s)
        many = put_rows(network, &OF_ITEM, &s, NULL, row, value, 0)
        if called != &UNCALLED:
            write_evidence(called, scene, &s)
            many = put_rows(network, &OF_EVIDENCE, &s, nothing, row, value, many)
        if habit != &UNUSED:
            write_habit(habit, scene, &s)
            many = put_rows(network, &OF_HABIT, &s, nothing, row, value, many)
        own = rows + (candidate - first) * width
        memcpy(own, of_group + place * width, width * sizeof(float))
        add_rows(many, row, value, network.weights[0], width, own)
        if candidate - first == ROWS - 1 or candidate == n - 1:
            network_outputs(network, candidate + 1 - first, rows, spare, outputs)
            for place in range(candidate + 1 - first):
                scores[first + place] = likelihood_of(network, outputs[place])
            first = candidate + 1
    return OK


cdef int write_all(
    const Workspace *work, const Ranking *model, const Scene *scene, int32_t candidate,
    ComplementSignals *s,
) noexcept nogil:
    """Write all signals of a candidate, as `score_pool` weighs them."""
    cdef const RankedItem *item = model.items + candidate
    if item.group < -1 or item.group >= model.groups.n_rows:
        return BROKEN
    cdef GroupFacts group = facts_of(work, model, scene, item.group)
    cdef const Habit *habit = habit_of(work, scene, candidate)
    write_cart(scene, s)
    write_group(&group, scene, s)
    write_item(item, &group, habit.times, scene, s)
    write_evidence(called_of(work, scene, candidate), scene, s)
    write_habit(habit, scene, s)
    return OK


cdef int64_t rank_cart(
    Workspace *work, const Ranking *model, const Network *network, const int32_t *cart,
    int64_t n_cart, const int32_t *past_item, const float *past_age, const int64_t *past_order,
    int64_t n_past, int discovery, int32_t **items, double **scores,
) noexcept nogil:
    """Return how many candidates, ascending in `items` with their probabilities in `scores`, which
    belong to `work` until its next call."""
    cdef Past past = Past(past_item, past_age, past_order, n_past)
    cdef Scene scene
    if not network_fits(network, N_COMPLEMENT_SIGNALS):
        return BROKEN
    cdef int64_t n = look_around(work, model, cart, n_cart, &past, discovery, &scene, items)
    if n < 0:
        return n
    scores[0] = <double *>room(&work.out_scores, n, sizeof(double))
    if not scores[0]:
        return NO_MEMORY
    cdef int failed = score_pool(work, model, network, &scene, items[0], n, scores[0])
    return failed if failed else n


cdef int32_t joint_of(const Ranking *model, int32_t held, int32_t item) noexcept nogil:
    """Return the orders with both; 0 where they are not counted, below it an error."""
    cdef int64_t begin = 0, end = 0, place
    if not row_of(&model.near, held, &begin, &end):
        return BROKEN
    place = first_of(model.near.columns, begin, end, item)
    if place == end or model.near.columns[place] != item:
        return 0
    return max(model.near_joint[place], 0)


def bought_before(
    const int64_t[::1] customers, const int64_t[::1] ordered_at, const int64_t[::1] orders,
    int64_t n_items, int64_t customer, int64_t now, int64_t until, int64_t most,
    double micros_per_day,
):
    """Return where the items of a customer's last orders before `until` begin, the days from each
    purchase to `now`, and the number of its order among these.

    customers, orders: where the orders of each customer, and the items of each order, begin.
    most: of the last orders that count.
    """
    cdef int64_t begin, end, order, place
    if not 0 <= customer < customers.shape[0] - 1:
        raise BrokenArrays(_OUTSIDE)
    begin, end = customers[customer], customers[customer + 1]
    if not 0 <= begin <= end <= ordered_at.shape[0] or end >= orders.shape[0]:
        raise BrokenArrays(_OUTSIDE)
    end = first_of(&ordered_at[0], begin, end, until)
    begin = max(begin, end - most)
    for order in range(begin, end):
        if orders[order + 1] < orders[order]:
            raise BrokenArrays(_OUTSIDE)
    if orders[begin] < 0 or orders[end] > n_items:
        raise BrokenArrays(_OUTSIDE)
    age = np.empty(orders[end] - orders[begin], dtype=np.float32)
    owner = np.empty(orders[end] - orders[begin], dtype=np.int64)
    cdef float[::1] days = age
    cdef int64_t[::1] owners = owner
    for order in range(begin, end):
        for place in range(orders[order] - orders[begin], orders[order + 1] - orders[begin]):
            days[place] = <float>(<double>(now - ordered_at[order]) / micros_per_day)
            owners[place] = order - begin
    return orders[begin], age, owner


cdef class NativeRanking:
    """Ranks the complements of carts.

    most: candidates of a cart, at most.
    """

    cdef Ranking model
    cdef Network discovery, complete
    cdef readonly int64_t most
    cdef list held

    def __init__(self, ranking, packed):
        """`packed` is that of the ranking's signals."""
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
        self.most = BY_WEIGHT + BY_COUNTS + BY_HABIT + len(signals.popular)
        self.most += GROUPS * min(max(signals.leaders.lengths.max(initial=0), 0), len(near.items))
        # Training ranks before there are any.
        if ranking.scorers:
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
        cdef int64_t n = counted(rank_cart(
            _work, &self.model, self.network(mode), &cart[0], cart.shape[0], &item[0], &age[0],
            &order[0], item.shape[0], mode == "discovery", &items, &scores,
        ))
        found = copied(items, n, _ITEMS)
        return found, copied(scores, n, _SCORES)

    def rank_carts(self, carts, past, mode):
        """Return cart, item and probability of the candidates of many carts, ascending."""
        nobody = np.zeros(0, dtype=np.int32)
        return self.candidates(CartBatch(carts, past), mode, True, nobody, INFINITY, np.zeros(0))

    def signals(
        self, carts, past, mode, const int32_t[::1] hidden, double n_others, const double[::1] draws
    ):
        """Return cart, item and signals of candidates of many carts, ascending.

        They are all where `n_others` is infinite; else the `hidden` item of each cart and about
        `n_others` of the others, by `draws` from 0 to 1, one for each candidate of all carts in
        turn, which are at most `most` a cart.
        """
        cdef CartBatch batch = CartBatch(carts, past)
        if n_others < INFINITY and (
            hidden.shape[0] != batch.n or draws.shape[0] < batch.n * self.most
        ):
            raise BrokenArrays("each cart has a hidden item, and each candidate a draw")
        return self.candidates(batch, mode, False, hidden, n_others, draws)

    cdef candidates(
        self, CartBatch batch, mode, bint scored, const int32_t[::1] hidden, double n_others,
        const double[::1] draws,
    ):
        """Return cart, item and either probabilities or signals of candidates."""
        cdef const Network *network = self.network(mode)
        cdef bint discovery = mode == "discovery"
        cdef int64_t capacity = batch.n * self.most, total = 0, drawn = 0, n = 0, each, place
        cdef int failed = OK
        owner, candidate = np.empty(capacity, dtype=np.int64), np.empty(capacity, dtype=np.int32)
        probability = np.empty(capacity if scored else 0, dtype=np.float64)
        features = np.empty((0 if scored else capacity, N_COMPLEMENT_SIGNALS), dtype=np.float32)
        cdef int64_t[::1] owners = owner
        cdef int32_t[::1] items = candidate
        cdef double[::1] scores = probability
        cdef float[:, ::1] rows = features
        cdef int32_t *pool = NULL
        cdef Scene scene
        if scored and not network_fits(network, N_COMPLEMENT_SIGNALS):
            failed = BROKEN
        with nogil:
            for each in range(batch.n):
                if failed:
                    break
                n = batch.look(&self.model, each, discovery, &scene, &pool)
                if n < 0 or drawn + n > capacity:
                    failed = n if n < 0 else BROKEN
                    break
                if scored:
                    failed = score_pool(
                        batch.work, &self.model, network, &scene, pool, n, &scores[total]
                    )
                for place in range(n):
                    if n_others < INFINITY and pool[place] != hidden[each]:
                        if draws[drawn + place] * n >= n_others:
                            continue
                    if not scored and not failed:
                        failed = write_all(
                            batch.work, &self.model, &scene, pool[place],
                            <ComplementSignals *>&rows[total, 0],
                        )
                    owners[total], items[total] = each, pool[place]
                    total += 1
                drawn += n
        counted(failed)
        # Copies, as most of the room is not used.
        return (
            owner[:total].copy(), candidate[:total].copy(),
            probability[:total].copy() if scored else features[:total].copy(),
        )

    def pair(self, const int32_t[::1] cart, int32_t item):
        """Return the fields of a `RuleCounts`: the item of the cart whose lower bound of lift with
        an item is highest, None where no pair is known to go together."""
        cdef int64_t line
        cdef int32_t n_joint
        cdef double n_item
        best = None
        if item < 0:
            raise BrokenArrays(_OUTSIDE)
        n_item = trunc(self.model.n_orders[item]) if item < self.model.near.n_rows else 0
        for line in range(cart.shape[0] if n_item > 0 else 0):
            n_joint = joint_of(&self.model, cart[line], item)
            counted(min(n_joint, 0))
            if n_joint == 0 or not self.model.n_orders[cart[line]] >= 1:
                continue
            found = evidence_of(
                (cart[line],), n_joint, trunc(self.model.n_orders[cart[line]]), n_item,
                trunc(self.model.n_orders_all),
            )
            if found[5] > (1 if best is None else best[5]):
                best = found
        return best
