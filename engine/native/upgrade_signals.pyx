# The signals by which upgrades are judged, as `signals.toml` describes them, in serving and training.

cdef enum:
    N_WINDOWS = 4


cdef struct LadderItem:
    # `Facts` and `Standing` of one item as of a moment, in one line of a processor's cache.
    int32_t ladder, category, brand
    float tier, level, log_price, log_amount
    float orders[N_WINDOWS]
    float promotion, usual, ups, downs, moves


cdef struct NextItems:
    # What was bought after each item, ascending; how often, else (`times` NULL) when each time.
    RowsOfMatrix items
    const float *times
    int64_t n_moments
    const int64_t *indptr
    const int64_t *moments


cdef struct Buyer:
    # What a buyer bought before; the last three are of everything, not of `n` entries alone.
    const int32_t *item
    const float *age
    const int32_t *category
    int64_t n
    float n_entries, level, since


cdef struct Bought:
    float times, fresh, age


cdef struct Compared:
    # A better item: its places by price and by popularity, and how often it was moved to.
    float rank, popular_rank, moved, from_past


cdef struct Placed:
    float value
    int32_t place


cdef struct Question:
    # An item that may be replaced and the better ones, as of `second`; then what is found of it.
    int32_t base
    const LadderItem *at
    const int32_t *sibling
    const LadderItem *rows
    const float *ratio
    int64_t n, second
    int64_t n_bought
    int32_t *bought_items
    Bought *bought
    float *brands
    float category_fresh, category_level, level_gap, base_times
    float totals[N_WINDOWS]


cdef struct Desk:
    # Memory that is kept from call to call.
    Table items, brands
    Buffer bought, bought_items, brand_sums, category, compared, placed, signals, sums, records, raws
    Buffer bases, siblings, places, scores, found


cdef Desk _desk
memset(&_desk, 0, sizeof(Desk))


cdef inline int32_t brand_key(int32_t brand) noexcept nogil:
    """Return the key of a brand in a table; -1 of a code that cannot be."""
    return -1 if brand < -1 or brand == 2147483647 else brand + 1


cdef int by_value(const void *left, const void *right) noexcept nogil:
    cdef const Placed *first = <const Placed *>left
    cdef const Placed *second = <const Placed *>right
    if first.value != second.value:
        return -1 if first.value < second.value else 1
    return (first.place > second.place) - (first.place < second.place)


cdef float times_moved(
    const NextItems *moves, int32_t item, int32_t following, int64_t second
) noexcept nogil:
    """Return how often `following` was bought after `item`, before `second`."""
    cdef int64_t begin = 0, end = 0, place
    if not row_of(&moves.items, item, &begin, &end):
        return 0
    place = first_of(moves.items.columns, begin, end, following)
    if place >= end or moves.items.columns[place] != following:
        return 0
    if moves.times != NULL:
        return moves.times[place]
    begin, end = moves.indptr[place], moves.indptr[place + 1]
    if begin < 0 or end < begin or end > moves.n_moments:
        return 0
    return <float>(first_of(moves.moments, begin, end, second) - begin)


cdef int look_back(
    const LadderItem *items, const Buyer *buyer, Question *asked, QuestionSignals *f
) noexcept nogil:
    """Write the signals of what the buyer bought before; returns an error or 0."""
    cdef const LadderItem *base = asked.at
    cdef const LadderItem *item
    cdef int64_t same = 0, entry = 0, n = 0, n_brands = 0, left, place
    if base.category >= 0:
        for entry in range(buyer.n):
            same += buyer.category[entry] == base.category
    asked.bought = <Bought *>room(&_desk.bought, same, sizeof(Bought))
    asked.bought_items = <int32_t *>room(&_desk.bought_items, same, sizeof(int32_t))
    asked.brands = <float *>room(&_desk.brand_sums, same, sizeof(float))
    if asked.bought == NULL or asked.bought_items == NULL or asked.brands == NULL:
        return NO_MEMORY
    if table_open(&_desk.items, same) or table_open(&_desk.brands, same):
        return NO_MEMORY
    cdef double fresh_sum = 0, level_sum = 0, ladder_fresh = 0, above = 0, below = 0, gap = 0
    cdef double last_steps = 0, last_levels = 0
    cdef float entries = 0, n_above = 0, last = NEVER, n_last = 0, distinct = 0
    cdef float age, fresh, steps, levels
    cdef int is_new = 0
    cdef int32_t own, brand
    entry, left = 0, same
    while left > 0:
        if buyer.category[entry] != base.category:
            entry += 1
            continue
        left -= 1
        item = items + buyer.item[entry]
        age = buyer.age[entry]
        fresh = exp2f(age * (<float>-1.0 / <float>60.0))
        fresh_sum += fresh
        level_sum += fresh * item.level
        if brand_key(item.brand) < 0:
            return BROKEN
        place = table_add(&_desk.brands, brand_key(item.brand), <int32_t>n_brands, &is_new)
        if is_new:
            asked.brands[n_brands] = 0
            n_brands += 1
        asked.brands[place] += fresh
        place = table_add(&_desk.items, buyer.item[entry], <int32_t>n, &is_new)
        if is_new:
            asked.bought[place] = Bought(0, 0, INFINITY)
            asked.bought_items[n] = buyer.item[entry]
            n += 1
        asked.bought[place].times += 1
        asked.bought[place].fresh += fresh
        asked.bought[place].age = min(asked.bought[place].age, age)
        entry += 1
        if item.ladder != base.ladder:
            continue
        steps, levels = item.tier - base.tier, item.level - base.level
        entries += 1
        ladder_fresh += fresh
        gap += fresh * levels
        if steps > 0:
            above += fresh
            n_above += 1
        elif steps < 0:
            below += fresh
        if age < last:
            last, n_last, last_steps, last_levels = age, 0, 0, 0
        if age == last:
            n_last += 1
            last_steps += steps
            last_levels += levels
    asked.n_bought = n
    for place in range(n):
        distinct += items[asked.bought_items[place]].ladder == base.ladder
    cdef float prior_up = (base.ups + <float>1.7) / (base.moves + 10)
    cdef float many = <float>ladder_fresh + 1
    own = table_find(&_desk.items, asked.base)
    brand = table_find(&_desk.brands, brand_key(base.brand))
    asked.category_fresh = <float>fresh_sum
    asked.category_level = <float>level_sum / (asked.category_fresh + 1)
    asked.level_gap = <float>gap / many
    asked.base_times = 0 if own < 0 else asked.bought[own].times
    f.ladder_entries = log1pf(entries)
    f.ladder_fresh = log1pf(<float>ladder_fresh)
    f.share_above = (<float>above + prior_up) / many
    f.share_same = (<float>ladder_fresh - <float>above - <float>below) / many
    f.share_below = <float>below / many
    f.ladder_age = log1pf(last)
    f.last_step = <float>last_steps / max(n_last, <float>1)
    f.level_gap = asked.level_gap
    f.level_last = <float>last_levels / max(n_last, <float>1)
    f.distinct_items = log1pf(distinct)
    f.base_times = log1pf(asked.base_times)
    f.base_fresh = 0 if own < 0 else log1pf(asked.bought[own].fresh)
    f.base_age = log1pf(NEVER if own < 0 else asked.bought[own].age)
    f.category_level = asked.category_level - base.level
    f.category_entries = log1pf(asked.category_fresh)
    f.buyer_level = buyer.level
    f.buyer_entries = log1pf(buyer.n_entries)
    f.buyer_since = log1pf(buyer.since)
    f.level, f.tier = base.level, base.tier
    f.base_promotion = base.promotion
    f.base_promotion_gap = base.promotion - base.usual
    f.up_rate = prior_up
    f.down_rate = (base.downs + <float>1.7) / (base.moves + 10)
    f.moves = log1pf(base.moves)
    f.base_brand_share = (0 if brand < 0 else asked.brands[brand]) / (asked.category_fresh + 1)
    f.log_price = base.log_price
    f.share_above_long = (n_above + prior_up) / (entries + 1)
    f.steps_up_before = log1pf(n_above)
    return 0


cdef void look_ahead(Question *asked, QuestionSignals *f) noexcept nogil:
    """Write the signals of the better items together."""
    cdef const LadderItem *base = asked.at
    cdef const LadderItem *item
    cdef double totals[N_WINDOWS]
    cdef double promotion = 0, gap = 0, fresh = 0
    cdef float tiers_above = 0, least = NEVER, heavy
    cdef float *base_orders = &f.base_orders_7
    cdef float *above_share = &f.above_share_7
    cdef int64_t row
    cdef int window
    cdef int32_t bought
    memset(totals, 0, sizeof(totals))
    for row in range(asked.n):
        for window in range(N_WINDOWS):
            totals[window] += asked.rows[row].orders[window]
    for window in range(N_WINDOWS):
        asked.totals[window] = <float>totals[window]
        base_orders[window] = log1pf(base.orders[window])
        above_share[window] = log1pf(asked.totals[window]) - base_orders[window]
    for row in range(asked.n):
        item = asked.rows + row
        heavy = item.orders[1] / max(asked.totals[1], <float>1)
        promotion += heavy * item.promotion
        gap += heavy * (item.promotion - item.usual)
        tiers_above = max(tiers_above, item.tier - base.tier)
        bought = table_find(&_desk.items, asked.sibling[row])
        if bought >= 0:
            fresh += asked.bought[bought].fresh
            least = min(least, asked.bought[bought].age)
    f.tiers_above, f.siblings = tiers_above, log1pf(<float>asked.n)
    f.above_promotion, f.above_promotion_gap = <float>promotion, <float>gap
    f.above_bought, f.above_age = <float>fresh, log1pf(least)


cdef Compared *compare_rows(
    const LadderItem *items, const NextItems *moves, const Question *asked
) noexcept nogil:
    """Return the places and moves of each better item; NULL without memory."""
    cdef int64_t n = asked.n, row, place
    cdef Compared *found = <Compared *>room(&_desk.compared, n, sizeof(Compared))
    cdef Placed *placed = <Placed *>room(&_desk.placed, n, sizeof(Placed))
    cdef double from_past
    cdef int32_t item
    if found == NULL or placed == NULL:
        return NULL
    for row in range(n):
        placed[row] = Placed(logf(asked.ratio[row]), <int32_t>row)
    qsort(placed, n, sizeof(Placed), by_value)
    for row in range(n):
        found[placed[row].place].rank = <float>row
    for row in range(n):
        placed[row] = Placed(-asked.rows[row].orders[2], <int32_t>row)
    qsort(placed, n, sizeof(Placed), by_value)
    for row in range(n):
        found[placed[row].place].popular_rank = <float>row
    for row in range(n):
        from_past = 0
        for place in range(asked.n_bought):
            item = asked.bought_items[place]
            if items[item].ladder == asked.at.ladder:
                from_past += <double>asked.bought[place].fresh * times_moved(
                    moves, item, asked.sibling[row], asked.second
                )
        found[row].moved = times_moved(moves, asked.base, asked.sibling[row], asked.second)
        found[row].from_past = <float>from_past
    return found


cdef int look_at_rows(
    const LadderItem *items, const NextItems *moves, const Buyer *buyer, const Question *asked,
    SiblingSignals *signals,
) noexcept nogil:
    """Write the signals of each better item; returns an error or 0."""
    cdef const LadderItem *base = asked.at
    cdef const LadderItem *item
    cdef const Compared *compared = compare_rows(items, moves, asked)
    cdef SiblingSignals *f
    cdef float n = <float>asked.n, n_same = 0, amount, long_share, sibling_brand
    cdef float *share
    cdef float *orders
    cdef double moved = 0, from_past = 0
    cdef int64_t row
    cdef int window, known
    cdef int32_t bought, brand
    if compared == NULL:
        return NO_MEMORY
    for row in range(asked.n):
        moved += compared[row].moved
        from_past += compared[row].from_past
        n_same += fabsf(asked.rows[row].log_amount - base.log_amount) < <float>0.02
    for row in range(asked.n):
        item, f = asked.rows + row, signals + row
        amount = item.log_amount - base.log_amount
        known = isfinite(amount)
        bought = table_find(&_desk.items, asked.sibling[row])
        brand = table_find(&_desk.brands, brand_key(item.brand))
        sibling_brand = 0 if brand < 0 else asked.brands[brand]
        share, orders = &f.share_7, &f.orders_7
        for window in range(N_WINDOWS):
            share[window] = logf(
                (item.orders[window] + <float>0.5) / (asked.totals[window] + <float>0.5 * n)
            )
            orders[window] = log1pf(item.orders[window])
        long_share = expf(f.share_60)
        f.ratio = logf(asked.ratio[row])
        f.step = item.tier - base.tier
        f.level = item.level
        f.rank = log1pf(compared[row].rank)
        f.siblings = log1pf(n)
        f.trend = f.share_7 - f.share_60
        f.moved = log1pf(compared[row].moved)
        f.moved_share = logf((compared[row].moved + 3 * long_share) / (<float>moved + 3))
        f.moved_from_past = logf((compared[row].from_past + long_share) / (<float>from_past + 1))
        f.same_brand = item.brand == base.brand and item.brand >= 0
        f.brand_share = sibling_brand / (asked.category_fresh + 1)
        f.brand_entries = log1pf(sibling_brand)
        f.level_gap = item.level - base.level - asked.level_gap
        f.level_far = fabsf(f.level_gap)
        f.category_gap = item.level - asked.category_level
        f.buyer_gap = item.level - buyer.level
        f.bought_times = log1pf(0 if bought < 0 else asked.bought[bought].times)
        f.bought_fresh = 0 if bought < 0 else asked.bought[bought].fresh
        f.bought_age = log1pf(NEVER if bought < 0 else asked.bought[bought].age)
        f.promotion = item.promotion
        f.promotion_gap = item.promotion - item.usual
        f.amount_ratio = amount if known else 0
        f.same_amount = known and fabsf(amount) < <float>0.02
        f.amount_known = known
        f.same_amount_share = n_same / max(n, <float>1)
        f.base_times = log1pf(asked.base_times)
        f.next_tier = f.step == 1
        f.ratio_squared = f.ratio * f.ratio
        f.popular_rank = log1pf(compared[row].popular_rank)
    return 0


cdef int look(
    const LadderItem *items, const NextItems *moves, const Buyer *buyer, Question *asked,
    QuestionSignals *f, SiblingSignals *rows,
) noexcept nogil:
    """Write all signals of a question; returns an error or 0."""
    cdef int failed = look_back(items, buyer, asked, f)
    if failed:
        return failed
    look_ahead(asked, f)
    return look_at_rows(items, moves, buyer, asked, rows)


cdef const int32_t *categories_of(
    const LadderItem *items, int64_t n_items, const int32_t *item, int64_t n
) noexcept nogil:
    """Return the category of each of some items; NULL where there is no memory or no such item."""
    cdef int32_t *category = <int32_t *>room(&_desk.category, n, sizeof(int32_t))
    cdef int64_t place
    if category == NULL:
        return NULL
    for place in range(n):
        if item[place] < 0 or item[place] >= n_items:
            return NULL
        prefetch(items + item[place])  # they lie far apart: all are fetched at once
    for place in range(n):
        category[place] = items[item[place]].category
    return category
