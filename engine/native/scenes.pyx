# What a cart and its customer's past call for, item by item and group by group, and the candidates
# that are worth ranking.

cdef enum:
    BY_WEIGHT = 120  # candidates of each kind
    BY_COUNTS = 40
    BY_HABIT = 120
    GROUPS = 12  # groups that bring their leaders
    DOUBT = 10  # orders added to each confidence: rare items promise less
    AHEAD = 12

cdef struct Past:
    const int32_t *item
    const float *age
    const int64_t *order  # entries of one order share it
    int64_t n

cdef struct Called:
    float weight, confidence, cosine, lift
    double doubt  # product of 1 - confidence

cdef struct Habit:
    float times, decayed, last, first, alike

cdef struct Scene:
    const int32_t *cart
    int64_t n_cart, n_called, n_groups_called, n_used, n_groups_used
    # The items and groups that the cart calls for and that the customer has bought, and of each:
    int32_t *called
    int32_t *groups_called
    int32_t *used
    int32_t *groups_used
    Called *evidence
    float *group_weight
    Habit *habits
    Habit *group_habits
    float n_orders, since, log_price


cdef inline void prefetch_row(const void *row, int64_t n) noexcept nogil:
    """Begin to load a row of `n` numbers of four bytes."""
    cdef int64_t place
    for place in range(0, n, 16):
        prefetch(<const int32_t *>row + place)


cdef int look_at_cart(
    Workspace *work, const Ranking *model, const int32_t *cart, int64_t n_cart, Scene *scene
) noexcept nogil:
    """Add up what the items of the cart call for."""
    cdef int64_t begin = 0, end = 0, total = 0, calls = 0, n = 0, n_groups = 0, line, entry, other
    cdef int64_t n_items = model.near.n_rows, n_all_groups = model.groups.n_rows
    cdef int32_t item, group, place
    cdef float n_held, joint, confidence, chance
    cdef int is_new
    cdef Called *called
    for line in range(n_cart):
        if line and cart[line - 1] >= cart[line]:
            return BROKEN
        if not row_of(&model.near, cart[line], &begin, &end):
            return BROKEN
        prefetch_row(model.near.columns + begin, end - begin)
        prefetch_row(model.near_weight + begin, end - begin)
        prefetch_row(model.near_joint + begin, end - begin)
        total += end - begin
        group = model.items[cart[line]].group
        if group >= 0:
            if not row_of(&model.groups, group, &begin, &end):
                return BROKEN
            prefetch_row(model.groups.columns + begin, end - begin)
            prefetch_row(model.group_weight + begin, end - begin)
            calls += end - begin
    total, calls = min(total, n_items), min(calls, n_all_groups)
    scene.cart, scene.n_cart = cart, n_cart
    scene.called = <int32_t *>room(&work.lists, total + calls + 1, sizeof(int32_t))
    scene.evidence = <Called *>room(&work.evidence, total, sizeof(Called))
    scene.group_weight = <float *>room(&work.group_evidence, calls, sizeof(float))
    if not scene.called or not scene.evidence or not scene.group_weight:
        return NO_MEMORY
    if table_open(&work.items, total) or table_open(&work.groups, calls):
        return NO_MEMORY
    scene.groups_called = scene.called + total
    for line in range(n_cart):
        n_held = model.n_orders[cart[line]]
        row_of(&model.near, cart[line], &begin, &end)
        for entry in range(begin, end):
            item = model.near.columns[entry]
            if item < 0 or item >= n_items:
                return BROKEN
            if entry + AHEAD < end:
                prefetch(model.n_orders + model.near.columns[entry + AHEAD])
            called = scene.evidence + table_add(&work.items, item, n, &is_new)
            if is_new:
                scene.called[n] = item
                n += 1
                called[0] = Called(0, 0, 0, 0, 1)
            called.weight += model.near_weight[entry]
            if model.near_joint[entry] <= 0:
                continue
            joint = model.near_joint[entry]
            confidence = joint / (n_held + DOUBT)
            chance = 1 / max(n_held * model.n_orders[item], <float>1)
            called.doubt *= 1 - <double>confidence
            called.confidence = max(called.confidence, confidence)
            called.cosine += joint * sqrtf(chance)
            called.lift = max(called.lift, (joint - 1) * model.n_orders_all * chance)
        group = model.items[cart[line]].group
        if group < 0 or group_held(model, cart, line, group):
            continue
        row_of(&model.groups, group, &begin, &end)
        for entry in range(begin, end):
            group = model.groups.columns[entry]
            if group < 0 or group >= n_all_groups:
                return BROKEN
            place = table_add(&work.groups, group, n_groups, &is_new)
            if is_new:
                scene.groups_called[n_groups] = group
                n_groups += 1
                scene.group_weight[place] = 0
            scene.group_weight[place] += model.group_weight[entry]
    scene.n_called, scene.n_groups_called = n, n_groups
    return OK


cdef float group_held(
    const Ranking *model, const int32_t *cart, int64_t n_cart, int32_t group
) noexcept nogil:
    """Return how many of the first `n_cart` items of the cart are of a group."""
    cdef float held = 0
    cdef int64_t line
    for line in range(n_cart):
        held += model.items[cart[line]].group == group
    return held


cdef inline void add_habit(
    Habit *habit, bint is_new, float age, float fresh, float alike
) noexcept nogil:
    if is_new:
        habit[0] = Habit(0, 0, INFINITY, -INFINITY, 0)
    habit.times += 1
    habit.decayed += fresh
    habit.last = min(habit.last, age)
    habit.first = max(habit.first, age)
    habit.alike += alike


cdef int look_at_past(
    Workspace *work, const Ranking *model, const Past *past, Scene *scene
) noexcept nogil:
    """Add up what the customer has bought, order by order."""
    cdef int64_t n = 0, n_groups = 0, begin = 0, end, entry, shared
    cdef int64_t n_items = model.near.n_rows, n_all_groups = model.groups.n_rows
    cdef int64_t most = min(past.n, n_items), most_groups = min(past.n, n_all_groups)
    cdef float age, fresh, alike
    cdef double prices = 0
    cdef int32_t item, group, place
    cdef int is_new
    scene.habits = <Habit *>room(&work.habits, most, sizeof(Habit))
    scene.group_habits = <Habit *>room(&work.group_habits, most_groups, sizeof(Habit))
    scene.used = <int32_t *>room(&work.orders, most + most_groups + 1, sizeof(int32_t))
    if not scene.habits or not scene.group_habits or not scene.used:
        return NO_MEMORY
    if table_open(&work.past_items, most) or table_open(&work.past_groups, most_groups):
        return NO_MEMORY
    scene.groups_used = scene.used + most
    scene.n_orders, scene.since = 0, NEVER
    while begin < past.n:
        end, shared = begin, 0
        while end < past.n and past.order[end] == past.order[begin]:
            if past.item[end] < 0 or past.item[end] >= n_items:
                return BROKEN
            prefetch(model.items + past.item[end])
            shared += in_cart(scene.cart, scene.n_cart, past.item[end])
            end += 1
        age = past.age[begin]
        fresh = exp2f(age * (<float>-1 / 45))
        alike = <float>(shared / sqrt(end - begin + 1.0)) * exp2f(age * (<float>-1 / 120))
        scene.n_orders += 1
        scene.since = min(scene.since, age)
        for entry in range(begin, end):
            item = past.item[entry]
            group = model.items[item].group
            place = table_add(&work.past_items, item, n, &is_new)
            if is_new:
                scene.used[n] = item
                n += 1
            add_habit(scene.habits + place, is_new, age, fresh, alike)
            prices += model.items[item].log_price
            if group < 0:
                continue
            if group >= n_all_groups:
                return BROKEN
            place = table_add(&work.past_groups, group, n_groups, &is_new)
            if is_new:
                scene.groups_used[n_groups] = group
                n_groups += 1
            add_habit(scene.group_habits + place, is_new, age, fresh, 0)
        begin = end
    scene.n_used, scene.n_groups_used = n, n_groups
    scene.log_price = prices / max(past.n, 1)
    return OK


cdef bint put(
    Workspace *work, const Ranking *model, const int32_t *items, int64_t n, int32_t *pool,
    int64_t *n_pool
) noexcept nogil:
    """Add the items that are not in the pool yet; return whether all exist."""
    cdef int64_t place
    cdef int is_new
    for place in range(n):
        if items[place] < 0 or items[place] >= model.near.n_rows:
            return False
        pool[n_pool[0]] = items[place]
        table_add(&work.pool, items[place], 0, &is_new)
        n_pool[0] += is_new
    return True


cdef void put_highest(
    Workspace *work, uint64_t *values, int64_t n, int64_t limit, int32_t *pool, int64_t *n_pool
) noexcept nogil:
    """Add the items of the highest `ranked` values that are not in the pool yet."""
    cdef int64_t place
    cdef int is_new
    for place in range(take_highest(values, n, limit)):
        pool[n_pool[0]] = item_of(values[place])
        table_add(&work.pool, pool[n_pool[0]], 0, &is_new)
        n_pool[0] += is_new


cdef int64_t gather_pool(
    Workspace *work, const Ranking *model, bint discovery, const Scene *scene, int32_t **found
) noexcept nogil:
    """Return how many items are worth ranking, ascending in `found`.

    They are those that the cart calls for most, by weight and by counts, the leaders of the groups
    that cart and habits call for most, the most popular and the most usual ones; nothing in the
    cart, and in discovery nothing that the customer has bought.
    """
    cdef int64_t n_values = max(
        max(scene.n_called, scene.n_used), scene.n_groups_called + scene.n_groups_used
    )
    cdef int64_t begin = 0, end = 0, n = 0, n_groups = 0, place, many
    cdef int64_t most = BY_WEIGHT + BY_COUNTS + BY_HABIT + model.n_popular
    cdef uint64_t *values = <uint64_t *>room(&work.scores, n_values, sizeof(uint64_t))
    cdef float *weight = <float *>room(&work.chosen, scene.n_groups_called, sizeof(float))
    cdef float habit
    cdef int32_t *pool
    cdef int32_t known
    cdef int is_new, failed
    if not values or not weight:
        return NO_MEMORY
    memcpy(weight, scene.group_weight, scene.n_groups_called * sizeof(float))
    for place in range(scene.n_groups_used):
        habit = <float>0.5 * scene.group_habits[place].decayed / (scene.n_orders + 5)
        known = table_find(&work.groups, scene.groups_used[place])
        if known >= 0:
            weight[known] += habit
        else:
            values[n_groups] = ranked(habit, scene.groups_used[place])
            n_groups += 1
    for place in range(scene.n_groups_called):
        values[n_groups] = ranked(weight[place], scene.groups_called[place])
        n_groups += 1
    n_groups = take_highest(values, n_groups, GROUPS)
    for place in range(n_groups):
        if not row_of(&model.leaders, item_of(values[place]), &begin, &end):
            return BROKEN
        most += end - begin
    pool = found[0] = <int32_t *>room(&work.out_items, most + 1, sizeof(int32_t))
    many = most + scene.n_cart + (scene.n_used if discovery else 0)
    if not pool or table_open(&work.pool, many):
        return NO_MEMORY
    for place in range(scene.n_cart):
        table_add(&work.pool, scene.cart[place], 0, &is_new)
    if discovery:
        for place in range(scene.n_used):
            table_add(&work.pool, scene.used[place], 0, &is_new)
    for place in range(n_groups):
        row_of(&model.leaders, item_of(values[place]), &begin, &end)
        if not put(work, model, model.leaders.columns + begin, end - begin, pool, &n):
            return BROKEN
    if not put(work, model, model.popular, model.n_popular, pool, &n):
        return BROKEN
    for place in range(scene.n_called):
        values[place] = ranked(scene.evidence[place].weight, scene.called[place])
    put_highest(work, values, scene.n_called, BY_WEIGHT, pool, &n)
    for place in range(scene.n_called):
        values[place] = ranked(-scene.evidence[place].doubt, scene.called[place])
    put_highest(work, values, scene.n_called, BY_COUNTS, pool, &n)
    if not discovery:
        for place in range(scene.n_used):
            habit = scene.habits[place].decayed + scene.habits[place].alike
            values[place] = ranked(habit, scene.used[place])
        put_highest(work, values, scene.n_used, BY_HABIT, pool, &n)
    failed = sort_items(pool, n, &work.sums)
    return failed if failed else n


cdef int64_t look_around(
    Workspace *work, const Ranking *model, const int32_t *cart, int64_t n_cart, const Past *past,
    bint discovery, Scene *scene, int32_t **pool,
) noexcept nogil:
    """Return how many candidates a cart has, ascending in `pool`, which belongs to `work`."""
    cdef int failed = look_at_cart(work, model, cart, n_cart, scene)
    if not failed:
        failed = look_at_past(work, model, past, scene)
    return failed if failed else gather_pool(work, model, discovery, scene, pool)


cdef class CartBatch:
    """Carts and their customers' pasts, and memory to look at them in turn without the
    interpreter's lock."""

    cdef const int64_t[::1] indptr, past_indptr, past_order
    cdef const int32_t[::1] items, past_item
    cdef const float[::1] past_age
    cdef readonly int64_t n
    cdef Workspace *work

    def __cinit__(self, carts, past):
        self.n, self.indptr, self.items = len(carts), carts.indptr, carts.values
        self.past_item, self.past_age, self.past_order = past.item, past.age, past.order
        self.past_indptr = past.cart.searchsorted(np.arange(self.n + 1))
        if (
            (np.diff(carts.indptr, prepend=0, append=len(carts.values)) < 0).any()
            or not len(past.item) == len(past.age) == len(past.order) == len(past.cart)
        ):
            raise BrokenArrays("the arrays of a batch do not fit each other")
        self.work = <Workspace *>calloc(1, sizeof(Workspace))
        if self.work == NULL:
            raise MemoryError(_NO_MEMORY)

    def __dealloc__(self):
        if self.work != NULL:
            close_workspace(self.work)

    cdef int64_t look(
        self, const Ranking *model, int64_t cart, bint discovery, Scene *scene, int32_t **pool
    ) noexcept nogil:
        """Return how many candidates a cart has, as `look_around`."""
        cdef int64_t begin = self.indptr[cart], past = self.past_indptr[cart]
        cdef Past bought = Past(
            &self.past_item[past], &self.past_age[past], &self.past_order[past],
            self.past_indptr[cart + 1] - past,
        )
        return look_around(
            self.work, model, &self.items[begin], self.indptr[cart + 1] - begin, &bought,
            discovery, scene, pool,
        )
