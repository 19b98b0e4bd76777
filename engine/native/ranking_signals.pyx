# The signals of a candidate, as `signals.toml` describes them, and which of them change together.

cdef struct Columns:
    int n
    int32_t column[N_COMPLEMENT_SIGNALS]

cdef struct GroupFacts:
    float weight, held
    const Habit *habit

cdef Called UNCALLED = Called(0, 0, 0, 0, 1)
cdef Habit UNUSED = Habit(0, 0, NEVER, 0, 0)


cdef void write_cart(const Scene *scene, ComplementSignals *s) noexcept nogil:
    s.n_orders = log1pf(scene.n_orders)
    s.n_items = log1pf(scene.n_used)
    s.since = log1pf(scene.since)
    s.cart_size = log1pf(scene.n_cart)


cdef void write_evidence(
    const Called *called, const Scene *scene, ComplementSignals *s
) noexcept nogil:
    s.weight = called.weight
    s.weight_root = -sqrtf(-s.weight) if s.weight < 0 else sqrtf(s.weight)
    s.weight_log = logf(max(s.weight, <float>0) + <float>0.003)
    s.confidence = called.confidence
    s.confidence_log = logf(s.confidence + <float>0.01)
    s.noisy_or = -log(called.doubt)
    s.noisy_or_log = logf(s.noisy_or + <float>0.01)
    s.cosine_log = logf(called.cosine + <float>0.01)
    s.lift_log = log1pf(called.lift)
    s.weight_by_size = s.weight * scene.n_cart


cdef void write_habit(const Habit *habit, const Scene *scene, ComplementSignals *s) noexcept nogil:
    cdef float times = habit.times, last = habit.last
    # How far the customer's own interval between purchases of the item has gone by.
    cdef float rhythm = (habit.first - last) / max(times - 1, <float>1)
    s.bought = times > 0
    s.times = log1pf(times)
    s.decayed = habit.decayed
    s.decayed_log = logf(habit.decayed + <float>0.01)
    s.often = times / (scene.n_orders + 3)
    s.last = log1pf(last)
    s.last_week = expf(last / -7)
    s.last_month = expf(last / -30)
    s.alike = habit.alike
    s.alike_log = logf(habit.alike + <float>0.01)
    s.alike_each = logf(habit.alike / (times + 1) + <float>0.01)
    s.repeated = times > 1
    s.due = logf(max(last / max(rhythm, <float>1), <float>0.05)) if times > 1 else 0
    s.due_now = expf(-fabsf(s.due)) if times > 1 else 0


cdef void write_group(
    const GroupFacts *group, const Scene *scene, ComplementSignals *s
) noexcept nogil:
    cdef const Habit *habit = group.habit
    s.group_weight = group.weight
    s.group_weight_log = logf(max(group.weight, <float>0) + <float>0.003)
    s.group_held = log1pf(group.held)
    s.group_times = log1pf(habit.times)
    s.group_bought = habit.times > 0
    s.group_often = logf(habit.times / (scene.n_orders + 3) + <float>0.01)
    s.group_decayed = habit.decayed
    s.group_decayed_log = logf(habit.decayed + <float>0.01)
    s.group_last = log1pf(habit.last)
    s.group_last_week = expf(habit.last / -7)
    s.group_last_month = expf(habit.last / -30)


cdef void write_item(
    const RankedItem *item, const GroupFacts *group, float times, const Scene *scene,
    ComplementSignals *s,
) noexcept nogil:
    s.popular = item.popular_log
    s.recent = item.recent_log
    s.latest = item.latest_log
    s.trend = s.recent - s.popular
    s.share = item.share
    s.share_log = item.share_log
    s.price = item.log_price
    s.price_step = s.price - scene.log_price if s.price * scene.log_price > 0 else 0
    s.price_far = fabsf(s.price_step)
    s.margin = item.margin
    s.group_to_item_log = logf(max(group.weight, <float>0) * s.share + <float>0.001)
    s.loyalty = (times + 2 * s.share) / (group.habit.times + 2)
    s.loyalty_log = logf(s.loyalty + <float>0.01)


cdef Columns written(ComplementSignals *s) noexcept:
    """Return which signals were written since the last call, that is which are not NaN."""
    cdef Columns columns
    cdef float *values = <float *>s
    columns.n = 0
    for column in range(N_COMPLEMENT_SIGNALS):
        if values[<int>column] == values[<int>column]:
            columns.column[columns.n] = column
            columns.n += 1
        values[<int>column] = NAN
    return columns


# The signals that are the same for all candidates of a cart, of a group, or of which nothing else
# is known, and the others.
cdef Columns OF_CART, OF_GROUP, OF_EVIDENCE, OF_HABIT, OF_ITEM


cdef int find_columns() except -1:
    global OF_CART, OF_GROUP, OF_EVIDENCE, OF_HABIT, OF_ITEM
    cdef ComplementSignals s
    cdef Scene scene
    cdef RankedItem item
    cdef GroupFacts group = GroupFacts(0, 0, &UNUSED)
    memset(&scene, 0, sizeof(scene))
    memset(&item, 0, sizeof(item))
    written(&s)
    write_cart(&scene, &s)
    OF_CART = written(&s)
    write_group(&group, &scene, &s)
    OF_GROUP = written(&s)
    write_evidence(&UNCALLED, &scene, &s)
    OF_EVIDENCE = written(&s)
    write_habit(&UNUSED, &scene, &s)
    OF_HABIT = written(&s)
    write_item(&item, &group, 0, &scene, &s)
    OF_ITEM = written(&s)
    n_written = OF_CART.n + OF_GROUP.n + OF_EVIDENCE.n + OF_HABIT.n + OF_ITEM.n
    if n_written != N_COMPLEMENT_SIGNALS:
        raise AssertionError(f"{n_written} of {N_COMPLEMENT_SIGNALS} signals are written")
    return 0


find_columns()
