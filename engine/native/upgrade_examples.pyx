# The signals of questions asked in the past, which the models of upgrades are fitted on.


def upgrade_signals(
    const float[:, ::1] items, moved, moments, history, questions, const float[:, ::1] bases,
    const float[:, ::1] rows, const int64_t[::1] seconds,
):
    """Return the signals of questions asked at some moments, and of their better items: float32
    (n_questions, n_signals) and (n_rows, n_signals).

    items: float32 (n_items, 16), as of `PackedUpgrades`; only what never changes is looked at.
    moved, moments: the items that were bought after each item, and when, for each; both ascending.
    history: what the buyer of each question had bought, see `mersalg.training.upsell.memory`.
    questions: what is asked, see `mersalg.training.upsell.events`.
    bases, rows: (n_questions, 16) and (n_rows, 16), the items of the questions and the better ones,
        as of each question's moment.
    seconds: int64 (n_questions,), the moments.
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
    found = np.empty((n, N_QUESTION_SIGNALS), np.float32)
    of_rows = np.empty((n_rows, N_SIBLING_SIGNALS), np.float32)
    cdef QuestionSignals *f = <QuestionSignals *>address(held, found, np.float32)
    cdef SiblingSignals *rows_f = <SiblingSignals *>address(held, of_rows, np.float32)
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
