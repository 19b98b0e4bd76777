# Upgrades: the signals they are judged by, how likely each is taken, and the better items of a cart.
#
# `QuestionSignals` and `SiblingSignals` are the one table of signals: their fields, in this order,
# are what the two models of `mersalg.engine.upsell.likelihood` weigh, in training as in serving.

from libc.math cimport exp2f, expf, fabsf, isfinite, log, log1pf, logf, pow
from libc.stdlib cimport qsort

_SIBLING = Struct("=4q8x2d")

cdef enum:
    N_WINDOWS = 4
    MOST_SIGNALS = 64
    AT_ONCE = 8


cdef struct LadderItem:
    # `Facts` and `Standing` of one item as of a moment, in one line of a processor's cache.
    int32_t ladder, category, brand
    float tier, level, log_price, log_amount
    float orders[N_WINDOWS]
    float promotion, usual, ups, downs, moves


cdef struct QuestionSignals:
    # Whether an item is replaced by a better one. Numbers and days are log(1 + x); "fresh" is a
    # number of purchases that halves in 60 days. First, what the buyer bought of the ladder:
    float ladder_entries, ladder_fresh
    float share_above, share_same, share_below  # of it, by tier beside the base item
    float ladder_age, last_step  # days since the latest; its tiers above the base item
    float level_gap, level_last  # price level above the base item: fresh mean, latest
    float distinct_items
    float base_times, base_fresh, base_age  # the base item itself
    float category_level, category_entries  # the category: level above the base item; fresh
    float buyer_level, buyer_entries, buyer_since  # all that was bought
    float level, tier, tiers_above, siblings
    float base_orders_7, base_orders_21, base_orders_60, base_orders_365  # in so many days
    float above_share_7, above_share_21, above_share_60, above_share_365  # better items' beside it
    float base_promotion, above_promotion, base_promotion_gap, above_promotion_gap
    float up_rate, down_rate, moves  # what buyers of the base item took next
    float base_brand_share, above_bought, log_price
    float share_above_long, steps_up_before, above_age


cdef struct SiblingSignals:
    # Which of the better items is taken.
    float ratio, step, level, rank, siblings
    float share_7, share_21, share_60, share_365  # of the better items' orders
    float orders_7, orders_21, orders_60, orders_365
    float trend
    float moved, moved_share, moved_from_past  # buyers who took it after the base, and after others
    float same_brand, brand_share, brand_entries
    float level_gap, level_far, category_gap, buyer_gap  # its level beside what was bought
    float bought_times, bought_fresh, bought_age
    float promotion, promotion_gap
    float amount_ratio, same_amount, amount_known, same_amount_share  # how much the packs hold
    float base_times, next_tier, ratio_squared, popular_rank


cdef int n_question_signals = sizeof(QuestionSignals) // sizeof(float)
cdef int n_sibling_signals = sizeof(SiblingSignals) // sizeof(float)


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


cdef struct Ladders:
    # Prices and tiers; `members` has a row for each ladder, all else a place for each item.
    RowsOfMatrix members, given
    int64_t n_items
    const int32_t *family  # below 0: on no ladder
    const int16_t *tier
    const int64_t *price  # below 0: not known
    const int64_t *cost
    const int64_t *bought
    double least_ratio, most_ratio, offer_slope, offer_intercept


cdef struct Base:
    # What may be replaced; `paid` is minor units for one unit, 0 where not known.
    int64_t item, paid
    double quantity


cdef struct Sibling:
    # A better item of the base at place `base`; `bound` is the highest gain it can come to.
    int64_t item, base, difference, worth, row
    double score, bound


cdef struct Desk:
    # Memory that is kept from call to call.
    Table items, brands
    Buffer bought, bought_items, brand_sums, category, compared, placed, signals, sums, records, raws
    Buffer siblings, places, scores, found


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


cdef int64_t first_moment(const int64_t *moments, int64_t low, int64_t high, int64_t second) noexcept nogil:
    cdef int64_t middle
    while low < high:
        middle = low + (high - low) // 2
        if moments[middle] < second:
            low = middle + 1
        else:
            high = middle
    return low


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
    return <float>(first_moment(moves.moments, begin, end, second) - begin)


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


cdef QuestionSignals _no_question
cdef SiblingSignals _no_sibling
QUESTION_SIGNALS = np.asarray(<QuestionSignals[:1]>&_no_question).dtype
SIBLING_SIGNALS = np.asarray(<SiblingSignals[:1]>&_no_sibling).dtype


def upgrade_signals(
    const float[:, ::1] items, moved, moments, history, questions, const float[:, ::1] bases,
    const float[:, ::1] rows, const int64_t[::1] seconds,
):
    """Return the signals of questions asked at some moments, and of their better items.

    Parameters
    ----------
    items : float32 (n_items, 16)
        As of `PackedUpgrades`; of these only what never changes is looked at.
    moved : Ragged of int32
        The items that were bought after each item, ascending.
    moments : Ragged of int64
        When, for each value of `moved`; ascending.
    history : mersalg.training.upsell.moments.History
        What the buyer of each question had bought.
    questions : mersalg.training.upsell.events.Questions
        What is asked.
    bases, rows : float32 (n_questions, 16) and (n_rows, 16)
        The items of the questions and the better ones, as of each question's moment.
    seconds : int64 (n_questions,)
        The moments.

    Returns
    -------
    tuple of arrays with a named field for each signal, (n_questions,) and (n_rows,).

    Raises
    ------
    BrokenArrays
        Arrays point outside of each other.
    """
    cdef list held = []
    cdef int64_t n_items = items.shape[0], n = seconds.shape[0], place, begin = 0, end = 0
    cdef int64_t n_rows = len(questions.sibling), first, last
    cdef RowsOfMatrix entries = matrix(held, history.items)
    cdef NextItems moves = NextItems(
        matrix(held, moved), NULL, len(moments.values),
        <const int64_t *>address(held, moments.indptr, np.int64),
        <const int64_t *>address(held, moments.values, np.int64),
    )
    cdef const LadderItem *facts = <const LadderItem *>address(held, items, np.float32)
    cdef const LadderItem *now = <const LadderItem *>address(held, bases, np.float32)
    cdef const LadderItem *rows_now = <const LadderItem *>address(held, rows, np.float32)
    cdef const float *age = <const float *>address(held, history.age, np.float32)
    cdef const float *n_entries = <const float *>address(held, history.n_entries, np.float32)
    cdef const float *level = <const float *>address(held, history.level, np.float32)
    cdef const float *since = <const float *>address(held, history.since, np.float32)
    cdef const int32_t *base = <const int32_t *>address(held, questions.base, np.int32)
    cdef const int64_t *indptr = <const int64_t *>address(held, questions.indptr, np.int64)
    cdef const int32_t *sibling = <const int32_t *>address(held, questions.sibling, np.int32)
    cdef const float *ratio = <const float *>address(held, questions.ratio, np.float32)
    cdef Buyer buyer
    cdef Question asked
    if (
        {len(questions.base), len(questions.indptr) - 1, bases.shape[0], entries.n_rows,
         len(history.n_entries), len(history.level), len(history.since)} != {n}
        or rows.shape[0] != n_rows or len(questions.ratio) != n_rows
        or len(history.age) != entries.n_entries or items.shape[1] != 16 or bases.shape[1] != 16
        or rows.shape[1] != 16 or moves.items.n_rows > n_items
        or len(moments.indptr) != len(moved.values) + 1
    ):
        raise BrokenArrays("arrays of the questions are of different lengths")
    found, of_rows = np.empty(n, QUESTION_SIGNALS), np.empty(n_rows, SIBLING_SIGNALS)
    cdef QuestionSignals *f = <QuestionSignals *>address(held, found, found.dtype)
    cdef SiblingSignals *rows_f = <SiblingSignals *>address(held, of_rows, of_rows.dtype)
    cdef const int32_t *category = categories_of(facts, n_items, entries.columns, entries.n_entries)
    if category == NULL:
        counted(BROKEN)
    for place in range(n):
        first, last = indptr[place], indptr[place + 1]
        if (
            not row_of(&entries, place, &begin, &end) or not 0 <= base[place] < n_items
            or first < 0 or last < first or last > n_rows
        ):
            counted(BROKEN)
        buyer = Buyer(
            entries.columns + begin, age + begin, category + begin, end - begin,
            n_entries[place], level[place], since[place],
        )
        memset(&asked, 0, sizeof(Question))
        asked.base, asked.at, asked.second = base[place], now + place, seconds[place]
        asked.sibling, asked.rows, asked.ratio = sibling + first, rows_now + first, ratio + first
        asked.n = last - first
        counted(look(facts, &moves, &buyer, &asked, f + place, rows_f + first))
    return found, of_rows


cdef void weigh_signals(
    const Network *network, int n_signals, const float *f, int64_t n, float *memory, float *out
) noexcept nogil:
    """Write the raw output for each of `n` rows of signals.

    `memory` has room for 3 * AT_ONCE * WIDEST numbers.
    """
    cdef float value[MOST_SIGNALS]
    cdef int32_t place[MOST_SIGNALS]
    cdef int64_t row, many, first = 0, width = network.width[0]
    cdef int k
    for k in range(n_signals):
        place[k] = k
    while first < n:
        many = min(n - first, <int64_t>AT_ONCE)
        for row in range(many):
            for k in range(n_signals):
                value[k] = standard(network, k, f[(first + row) * n_signals + k])
            memcpy(memory + row * width, network.biases[0], width * sizeof(float))
            add_rows(n_signals, place, value, network.weights[0], width, memory + row * width)
        network_outputs(network, many, memory, memory + AT_ONCE * WIDEST, out + first)
        first += many


cdef int by_bound(const void *left, const void *right) noexcept nogil:
    cdef const Sibling *first = <const Sibling *>left
    cdef const Sibling *second = <const Sibling *>right
    if first.bound != second.bound:
        return -1 if first.bound > second.bound else 1
    return (first.row > second.row) - (first.row < second.row)


cdef double as_offered(const Ladders *ladders, double score) noexcept nogil:
    """Return a score by how offers that were shown were taken."""
    cdef double odds
    if ladders.offer_slope == 1.0 and ladders.offer_intercept == 0.0:
        return score
    score = min(max(score, 1e-9), 1 - 1e-9)
    odds = ladders.offer_slope * log(score / (1 - score)) + ladders.offer_intercept
    return 1.0 / (1.0 + exp(-min(max(odds, -30.0), 30.0)))


cdef double by_share(
    const Ladders *ladders, const Base *base, int32_t item, int64_t steps
) noexcept nogil:
    """Return the score without a model: the share among both's buyers, less for steps and price.

    An item nobody has bought yet is taken to win one buyer in ten.
    """
    cdef double bought = <double>ladders.bought[item]
    cdef double share = (bought + 1) / (bought + <double>ladders.bought[base.item] + 10)
    return share / (<double>ladders.price[item] / <double>base.paid) * pow(0.6, steps - 1.0)


cdef class NativeUpgrades:
    """Finds the better items of a cart's items, and how likely each is taken."""

    cdef Ladders ladders
    cdef const LadderItem *items
    cdef NextItems moves
    cdef Network whether, which
    cdef bint fitted
    cdef list held

    def __init__(
        self, ladders, catalogue, n_orders_of_item, given, ratios, likelihood=None, packed=None
    ):
        """Keep what upgrades are chosen by.

        Parameters
        ----------
        given : Ragged of int32
            The better versions the shop names for each item, ascending.
        ratios : tuple of float
            The least and the greatest of a better item's price to its base's.
        likelihood, packed
            The fitted models and `PackedUpgrades` of them, where there are any.
        """
        self.held = []
        slope, intercept = 1.0, 0.0
        self.fitted = likelihood is not None
        if self.fitted:
            slope, intercept = likelihood.offer_slope, likelihood.offer_intercept
            self.items = <const LadderItem *>address(self.held, packed.items, np.float32)
            self.moves = NextItems(
                matrix(self.held, packed.moved),
                <const float *>address(self.held, likelihood.standing.move_times, np.float32),
                0, NULL, NULL,
            )
            fill_network(&self.whether, self.held, likelihood.whether)
            fill_network(&self.which, self.held, likelihood.which)
            if (
                not network_fits(&self.whether, n_question_signals)
                or not network_fits(&self.which, n_sibling_signals)
                or len(packed.items) < len(ladders.family) or len(packed.moved) > len(packed.items)
                or len(likelihood.standing.move_times) < len(packed.moved.values)
            ):
                raise BrokenArrays("the models of upgrades do not fit the catalogue")
        self.ladders = Ladders(
            matrix(self.held, ladders.members), matrix(self.held, given), len(ladders.family),
            <const int32_t *>address(self.held, ladders.family, np.int32),
            <const int16_t *>address(self.held, ladders.tier, np.int16),
            <const int64_t *>address(self.held, catalogue.price_minor, np.int64),
            <const int64_t *>address(self.held, catalogue.cost_minor, np.int64),
            <const int64_t *>address(self.held, n_orders_of_item, np.int64),
            ratios[0], ratios[1], slope, intercept,
        )

    def find(self, past, bases, const uint8_t[::1] marks, int64_t most):
        """Return the better items that bring something, of the highest bound first.

        Each is (item, place of its base, minor units more, minor units it brings, how likely it is
        taken, the highest expected gain it can come to). Where the shop names better versions of a
        base and one of them may be offered, they alone are.

        Parameters
        ----------
        past : mersalg.engine.ranking.purchases.Past
            What the buyer bought before.
        bases : sequence of tuple
            (item, minor units paid for one unit, 0 where not known, units) of each.
        marks : uint8 (n_items,)
            0 where an item may be offered.
        most : int
            How many at most.
        """
        cdef const int32_t[::1] item = past.item
        cdef const float[::1] age = past.age
        cdef int64_t n, n_bases = len(bases)
        cdef Base *asked = <Base *>malloc((n_bases + 1) * sizeof(Base))
        if asked == NULL:
            raise MemoryError("no memory for the bases")
        try:
            for place, (base, paid, quantity) in enumerate(bases):
                asked[<int>place] = Base(base, paid, quantity)
            n = counted(
                self.siblings(asked, n_bases, &item[0], &age[0], item.shape[0], &marks[0])
            )
            # A copy, of which mostly only the first are looked at.
            return _SIBLING.iter_unpack(
                (<const char *>_desk.found.data)[: min(n, most) * sizeof(Sibling)]
            )
        finally:
            free(asked)

    cdef int64_t siblings(
        self, const Base *bases, int64_t n_bases, const int32_t *item, const float *age,
        int64_t n_past, const uint8_t *marks,
    ) noexcept nogil:
        """Write the better items that bring something to the desk; returns how many, or an error."""
        cdef const Ladders *ladders = &self.ladders
        cdef const Base *base
        cdef int64_t begin = 0, end = 0, widest = 0, n = 0, n_rows = 0, each, row, difference, worth
        cdef int64_t n_given, cost, base_cost, steps
        cdef int named
        for each in range(n_bases):
            base = bases + each
            if base.item < 0 or base.item >= ladders.n_items:
                return BROKEN
            if ladders.family[base.item] >= 0:
                if not row_of(&ladders.members, ladders.family[base.item], &begin, &end):
                    return BROKEN
                widest += end - begin
            if not row_of(&ladders.given, base.item, &begin, &end):
                return BROKEN
            widest += end - begin
        cdef int32_t *sibling = <int32_t *>room(&_desk.siblings, widest, sizeof(int32_t) + sizeof(float))
        # Of each base: where its rows begin, and those of its ladder after those the shop names.
        cdef int64_t *starts = <int64_t *>room(&_desk.places, 2 * n_bases + 1, sizeof(int64_t))
        cdef double *scores = <double *>room(&_desk.scores, widest, sizeof(double))
        cdef Sibling *found = <Sibling *>room(&_desk.found, widest, sizeof(Sibling))
        if sibling == NULL or starts == NULL or scores == NULL or found == NULL:
            return NO_MEMORY
        cdef float *ratio = <float *>(sibling + widest)
        for each in range(n_bases):
            starts[2 * each] = n_rows
            n_rows = self.gather_given(bases + each, sibling, ratio, n_rows)
            starts[2 * each + 1] = n_rows
            if n_rows >= 0:
                n_rows = self.gather_ladder(bases + each, sibling, ratio, starts[2 * each], n_rows)
            if n_rows < 0:
                return n_rows
        starts[2 * n_bases] = n_rows
        row = 0
        while row < n_rows and marks[sibling[row]]:
            row += 1
        if row == n_rows:
            return 0
        if self.fitted:
            each = self.weigh(bases, n_bases, item, age, n_past, sibling, ratio, starts, scores)
            if each < 0:
                return each
        for each in range(n_bases):
            base, base_cost = bases + each, ladders.cost[bases[each].item]
            named, n_given = 0, starts[2 * each + 1]
            for row in range(starts[2 * each], n_given):
                named |= marks[sibling[row]] == 0
            for row in range(starts[2 * each], n_given if named else starts[2 * each + 2]):
                difference = ladders.price[sibling[row]] - base.paid
                cost = ladders.cost[sibling[row]]
                worth = difference
                if self.fitted and cost >= 0 and base_cost >= 0:
                    worth -= cost - base_cost
                if marks[sibling[row]] or worth <= 0:
                    continue
                if not self.fitted:
                    steps = ladders.tier[sibling[row]] - ladders.tier[base.item]
                    scores[row] = by_share(ladders, base, sibling[row], 1 if row < n_given else steps)
                found[n] = Sibling(
                    sibling[row], each, difference, worth, row, as_offered(ladders, scores[row]), 0
                )
                found[n].bound = found[n].score * <double>worth * base.quantity
                n += 1
        qsort(found, n, sizeof(Sibling), by_bound)
        return n

    cdef int64_t gather_given(
        self, const Base *base, int32_t *sibling, float *ratio, int64_t n
    ) noexcept nogil:
        """Add what the shop names for a base, dearer than what was paid; returns how many rows."""
        cdef int64_t begin = 0, end = 0, entry
        cdef int32_t item
        if base.paid <= 0 or not row_of(&self.ladders.given, base.item, &begin, &end):
            return n
        for entry in range(begin, end):
            item = self.ladders.given.columns[entry]
            if item < 0 or item >= self.ladders.n_items:
                return BROKEN
            if self.ladders.price[item] > base.paid:
                sibling[n] = item
                ratio[n] = <float>(<double>self.ladders.price[item] / <double>base.paid)
                n += 1
        return n

    cdef int64_t gather_ladder(
        self, const Base *base, int32_t *sibling, float *ratio, int64_t first, int64_t n
    ) noexcept nogil:
        """Add the better items of a base's ladder to those from `first` on, each once."""
        cdef const Ladders *ladders = &self.ladders
        cdef int64_t begin = 0, end = 0, entry, n_given = n
        cdef int32_t item, family = ladders.family[base.item]
        cdef double times
        if family < 0 or base.paid <= 0 or not row_of(&ladders.members, family, &begin, &end):
            return n
        for entry in range(begin, end):
            item = ladders.members.columns[entry]
            if item < 0 or item >= ladders.n_items:
                return BROKEN
            times = <double>ladders.price[item] / <double>base.paid
            if (
                ladders.tier[item] <= ladders.tier[base.item] or ladders.price[item] <= base.paid
                or times < ladders.least_ratio or times > ladders.most_ratio
                or in_cart(sibling + first, n_given - first, item)
            ):
                continue
            sibling[n], ratio[n] = item, <float>times
            n += 1
        return n

    cdef int64_t weigh(
        self, const Base *bases, int64_t n_bases, const int32_t *item, const float *age,
        int64_t n_past, const int32_t *sibling, const float *ratio, const int64_t *starts,
        double *scores,
    ) noexcept nogil:
        """Write P(upgrade | customer, base) x P(item | upgrade) of each row; returns an error or 0."""
        cdef int64_t n_items = self.ladders.n_items, each, row, begin, n
        cdef Buyer buyer = Buyer(
            item, age, categories_of(self.items, n_items, item, n_past), n_past, <float>n_past, 0,
            INFINITY if n_past else NEVER,
        )
        cdef Question asked
        cdef QuestionSignals f
        cdef SiblingSignals *signals
        cdef LadderItem *records
        cdef float raw
        cdef float *raws
        cdef float *memory = <float *>room(&_desk.sums, 3 * AT_ONCE * WIDEST, sizeof(float))
        cdef double level = 0, up, top, total
        cdef int failed
        if buyer.category == NULL:
            return BROKEN
        if memory == NULL:
            return NO_MEMORY
        for row in range(n_past):
            level += self.items[item[row]].level
            buyer.since = min(buyer.since, age[row])
        buyer.level = <float>(level / <double>max(n_past, <int64_t>1))
        for each in range(n_bases):
            begin, n = starts[2 * each], starts[2 * each + 2] - starts[2 * each]
            if n == 0:
                continue
            records = <LadderItem *>room(&_desk.records, n, sizeof(LadderItem))
            signals = <SiblingSignals *>room(&_desk.signals, n, sizeof(SiblingSignals))
            raws = <float *>room(&_desk.raws, n, sizeof(float))
            if records == NULL or signals == NULL or raws == NULL:
                return NO_MEMORY
            for row in range(n):
                records[row] = self.items[sibling[begin + row]]
            memset(&asked, 0, sizeof(Question))
            asked.base, asked.at = <int32_t>bases[each].item, self.items + bases[each].item
            asked.sibling, asked.rows, asked.ratio = sibling + begin, records, ratio + begin
            asked.n = n
            failed = look(self.items, &self.moves, &buyer, &asked, &f, signals)
            if failed:
                return failed
            weigh_signals(&self.whether, n_question_signals, <float *>&f, 1, memory, &raw)
            up = likelihood_of(&self.whether, raw)
            weigh_signals(&self.which, n_sibling_signals, <float *>signals, n, memory, raws)
            top, total = -INFINITY, 0
            for row in range(n):
                scores[begin + row] = self.which.slope * raws[row]
                top = max(top, scores[begin + row])
            for row in range(n):
                scores[begin + row] = exp(scores[begin + row] - top)
                total += scores[begin + row]
            for row in range(n):
                scores[begin + row] *= up / total
        return 0
