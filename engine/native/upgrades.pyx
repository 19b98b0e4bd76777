# Upgrades: the better items of a cart, and how likely each is taken.

_SIBLING = Struct("=4q8x2d")

cdef enum:
    COMPARED_AHEAD = 64  # better items whose numbers are compared before anything else of theirs
    MAX_AMOUNTS = 16
    LONGEST_PLAIN = 15  # digits of a number that is compared as an integer

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


cdef struct Amounts:
    # The texts of an attribute whose plain numbers are gains where they are larger, or smaller.
    const uint8_t *blob
    const int64_t *offsets
    int64_t n, n_bytes
    bint lower_is_better


cdef struct Base:
    # What may be replaced; `paid` is minor units for one unit, 0 where not known.
    int64_t item, paid
    double quantity


cdef struct Sibling:
    # A better item of the base at place `base`; `bound` is the highest gain it can come to.
    int64_t item, base, difference, worth, row
    double score, bound


cdef int by_bound(const void *left, const void *right) noexcept nogil:
    cdef const Sibling *first = <const Sibling *>left
    cdef const Sibling *second = <const Sibling *>right
    if first.bound != second.bound:
        return -1 if first.bound > second.bound else 1
    return (first.row > second.row) - (first.row < second.row)


cdef int64_t plain_number(const Amounts *texts, int64_t item) noexcept nogil:
    """Return the number of a text of digits alone, -1 of other texts; -2 where there is no text."""
    cdef int64_t begin, end, number = 0
    if item >= texts.n:
        return BROKEN
    begin, end = texts.offsets[item], texts.offsets[item + 1]
    if not 0 <= begin <= end <= texts.n_bytes:
        return BROKEN
    if not 0 < end - begin <= LONGEST_PLAIN:
        return -1
    for begin in range(begin, end):
        if not c'0' <= texts.blob[begin] <= c'9':
            return -1
        number = 10 * number + texts.blob[begin] - c'0'
    return number


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
    cdef Amounts amounts[MAX_AMOUNTS]
    cdef int64_t n_amounts, n_attributes
    cdef double each_loss
    cdef list held

    def __init__(
        self, ladders, catalogue, n_orders_of_item, given, ratios, likelihood=None, packed=None,
        amounts=(), double each_loss=1,
    ):
        """Keep what upgrades are chosen by.

        given: the better versions the shop names for each item, ascending.
        ratios: the least and the greatest of a better item's price to its base's.
        packed: `PackedUpgrades` of the fitted models, where there are any.
        amounts: the texts of each attribute whose plain numbers are gains or losses by size alone,
            and whether lower ones are better.
        each_loss: what a known loss multiplies the expected gain by.
        """
        self.held = []
        self.each_loss, self.n_attributes = each_loss, len(catalogue.attributes)
        self.n_amounts = min(len(amounts), <int>MAX_AMOUNTS)
        for place, (texts, lower) in enumerate(amounts[: self.n_amounts]):
            self.amounts[<int>place] = Amounts(
                <const uint8_t *>address(self.held, texts.blob, np.uint8),
                <const int64_t *>address(self.held, texts.offsets, np.int64),
                len(texts.offsets) - 1, len(texts.blob), lower,
            )
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
                not network_fits(&self.whether, N_QUESTION_SIGNALS)
                or not network_fits(&self.which, N_SIBLING_SIGNALS)
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

        bases: (item, minor units paid for one unit, 0 where not known, units) of each.
        marks: uint8 (n_items,), 0 where an item may be offered.
        """
        cdef const int32_t[::1] item = past.item
        cdef const float[::1] age = past.age
        cdef int64_t n, n_bases = len(bases)
        cdef Base *asked = <Base *>room(&_desk.bases, n_bases, sizeof(Base))
        if asked == NULL:
            raise MemoryError(_NO_MEMORY)
        for place, (base, paid, quantity) in enumerate(bases):
            asked[<int>place] = Base(base, paid, quantity)
        n = counted(self.siblings(asked, n_bases, &item[0], &age[0], item.shape[0], &marks[0]))
        # A copy, of which mostly only the first are looked at.
        return _SIBLING.iter_unpack(
            (<const char *>_desk.found.data)[: min(n, most) * sizeof(Sibling)]
        )

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
        # Of the first ones, numbers that can be compared here lower the bound or rule out.
        n_rows, n = n, 0
        for row in range(n_rows):
            named, each = found[row].row < starts[2 * found[row].base + 1], 1
            if row < COMPARED_AHEAD:
                each = self.compare(bases[found[row].base].item, named, found + row)
            if each < 0:
                return each
            if each:
                found[n] = found[row]
                n += 1
        qsort(found, n, sizeof(Sibling), by_bound)
        return n

    cdef int compare(self, int64_t base, bint named, Sibling *sibling) noexcept nogil:
        """Lower the bound of a better item by its known losses; return 0 where these are more than
        its gains can be, and the shop does not name it, below 0 an error."""
        cdef int64_t gains = self.n_attributes, losses = 0, place, before, after
        for place in range(self.n_amounts):
            before = plain_number(self.amounts + place, base)
            after = plain_number(self.amounts + place, sibling.item)
            if before == BROKEN or after == BROKEN:
                return BROKEN
            if before < 0 or after < 0:
                continue
            if self.amounts[place].lower_is_better:
                before, after = after, before
            gains -= after <= before
            losses += after < before
        # Python multiplies in another order: no bound may be a last digit too low.
        sibling.bound *= 1 + 1e-12
        for place in range(losses):
            sibling.bound *= self.each_loss
        return named or losses <= gains

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
            weigh_signals(&self.whether, <float *>&f, 1, memory, &raw)
            up = likelihood_of(&self.whether, raw)
            weigh_signals(&self.which, <float *>signals, n, memory, raws)
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
