"""Compiled counting kernels: horizontal scans with array counters, after Uno's LCM.

Baskets are rows of ascending labels. The occurrences of a label are visited and what follows it
in each row is counted in an array ("occurrence deliver", Uno, Kiyomi and Arimura, LCM ver. 2,
2004), so that a candidate costs nothing before it occurs. Sets of three and more grow only from
frequent pairs: the rows behind a label, cut down to its frequent partners, are mined in turn.

Compiled by Numba once and kept in its cache, so that the second process starts warm.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SQUARE_LIMIT = 1 << 22
"""Counters of pairs of partners held at a time (16 MiB of int32); more are counted in strips."""

_SHORT_ROW = 16
"""Rows up to this long are sorted by insertion, which beats a call to sort."""


@njit(cache=True, nogil=True)
def frequent_rows(indptr, items, label_of):
    """Rows of labels, ascending; infrequent items (label -1) and rows shorter than 2 are dropped.

    Args:
        indptr, items: CSR of the baskets.
        label_of: int32 (n_items,), label of each item, -1 where it is infrequent.

    Returns:
        (row_start int64 (n_rows + 1,), labels int32).
    """
    row_start = np.empty(len(indptr), np.int64)
    labels = np.empty(len(items), np.int32)
    row_start[0] = 0
    filled = 0
    n_rows = 0
    for order in range(len(indptr) - 1):
        begin = filled
        for position in range(indptr[order], indptr[order + 1]):
            label = label_of[items[position]]
            if label >= 0:
                labels[filled] = label
                filled += 1
        if filled - begin < 2:
            filled = begin
            continue
        if filled - begin <= _SHORT_ROW:
            for right in range(begin + 1, filled):
                value = labels[right]
                left = right - 1
                while left >= begin and labels[left] > value:
                    labels[left + 1] = labels[left]
                    left -= 1
                labels[left + 1] = value
        else:
            labels[begin:filled].sort()
        n_rows += 1
        row_start[n_rows] = filled
    return row_start[: n_rows + 1].copy(), labels[:filled].copy()


@njit(cache=True, nogil=True)
def occurrences(row_start, labels, n_labels):
    """Where each label stands, and where its row ends.

    Returns:
        (first int64 (n_labels + 1,), position int32 (n,), row_end int32 (n,)); the occurrences of
        label a are `position[first[a]:first[a + 1]]`. So n must stay below 2**31.
    """
    first = np.zeros(n_labels + 1, np.int64)
    for label in labels:
        first[label + 1] += 1
    for label in range(n_labels):
        first[label + 1] += first[label]
    fill = first.copy()
    position = np.empty(len(labels), np.int32)
    row_end = np.empty(len(labels), np.int32)
    for row in range(len(row_start) - 1):
        end = row_start[row + 1]
        for place in range(row_start[row], end):
            slot = fill[labels[place]]
            position[slot] = place
            row_end[slot] = end
            fill[labels[place]] = slot + 1
    return first, position, row_end


@njit(cache=True, nogil=True)
def _count_partners(labels, position, row_end, begin, end, label, counter, partners, min_count):
    """Labels that stand behind `label` in at least `min_count` rows, ascending, into `partners`.

    Leaves their counts in `counter` and every other entry of it at zero; returns how many.
    """
    n_labels = len(counter)
    work = 0
    for occurrence in range(begin, end):
        work += row_end[occurrence] - position[occurrence] - 1
    n_partners = 0
    if 2 * work < n_labels - label:
        # Few increments: remember what was touched, rather than look through every counter.
        n_touched = 0
        for occurrence in range(begin, end):
            for place in range(position[occurrence] + 1, row_end[occurrence]):
                partner = labels[place]
                if counter[partner] == 0:
                    partners[n_touched] = partner
                    n_touched += 1
                counter[partner] += 1
        for touched in range(n_touched):
            partner = partners[touched]
            if counter[partner] >= min_count:
                partners[n_partners] = partner
                n_partners += 1
            else:
                counter[partner] = 0
        partners[:n_partners].sort()
    else:
        for occurrence in range(begin, end):
            for place in range(position[occurrence] + 1, row_end[occurrence]):
                counter[labels[place]] += 1
        for partner in range(label + 1, n_labels):
            if counter[partner] >= min_count:
                partners[n_partners] = partner
                n_partners += 1
            else:
                counter[partner] = 0
    return n_partners


@njit(cache=True, nogil=True)
def _count_square(
    labels, position, row_end, begin, end, local, low, high, n_partners, square, buffer
):
    """Count the pairs of partners that follow together, the first of them in [low, high).

    `square` is row-major, (high - low) x n_partners, of zeros. `local` ascends with the labels, so
    the partners of a row come in their own order.
    """
    for occurrence in range(begin, end):
        n_found = 0
        for place in range(position[occurrence] + 1, row_end[occurrence]):
            found = local[labels[place]]
            buffer[n_found] = found
            n_found += found >= low
        for left in range(n_found - 1):
            if buffer[left] >= high:
                break
            base = (buffer[left] - low) * n_partners
            for right in range(left + 1, n_found):
                square[base + buffer[right]] += 1


@njit(cache=True, nogil=True)
def _rows_behind(labels, position, row_end, begin, end, local):
    """The rows behind one label, cut down to its partners and relabelled by `local`."""
    size = 0
    for occurrence in range(begin, end):
        size += row_end[occurrence] - position[occurrence] - 1
    behind = np.empty(size, np.int32)
    row_start = np.empty(end - begin + 1, np.int64)
    row_start[0] = 0
    n_rows = 0
    filled = 0
    for occurrence in range(begin, end):
        start = filled
        for place in range(position[occurrence] + 1, row_end[occurrence]):
            found = local[labels[place]]
            if found >= 0:
                behind[filled] = found
                filled += 1
        if filled - start < 2:
            filled = start
        else:
            n_rows += 1
            row_start[n_rows] = filled
    return row_start[: n_rows + 1], behind[:filled]


@njit(cache=True, nogil=True)
def grow(
    labels,
    first,
    position,
    row_end,
    names,
    low,
    high,
    prefix,
    depth,
    max_length,
    min_count,
    out_sets,
    out_counts,
    out_lengths,
    filled,
    resume,
):
    """Write every frequent set of `depth` + 1 and `depth` + 2 items (`max_length` at most) that
    begins with `prefix` and a label in [low, high).

    Args:
        labels, first, position, row_end: the rows, as `occurrences` gives them.
        names: int32 (n_labels,), what each label is called in the output.
        prefix: int32 (max_length,), names of the labels already chosen, `depth - 1` of them.
        out_sets, out_counts, out_lengths: buffers (capacity, max_length), (capacity,), (capacity,).
        filled: sets already in the buffers.
        resume: int64 (2,), where to go on after an overflow: the label, and how many sets in the
            buffers are whole.

    Returns:
        Sets in the buffers, or -1 where they did not suffice; nothing is lost, see `resume`.
    """
    n_labels = len(names)
    capacity = len(out_counts)
    counter = np.zeros(n_labels, np.int32)
    local = np.full(n_labels, -1, np.int32)
    partners = np.empty(n_labels, np.int32)
    square = np.zeros(0, np.int32)
    # One place more than there are partners: what is no partner is written and overwritten.
    buffer = np.empty(n_labels + 1, np.int32)
    for label in range(low, high):
        whole = filled
        begin, end = first[label], first[label + 1]
        n_partners = _count_partners(
            labels, position, row_end, begin, end, label, counter, partners, min_count
        )
        if filled + n_partners > capacity:
            resume[0] = label
            resume[1] = whole
            return -1
        prefix[depth - 1] = names[label]
        for index in range(n_partners):
            partner = partners[index]
            out_sets[filled, :depth] = prefix[:depth]
            out_sets[filled, depth] = names[partner]
            out_counts[filled] = counter[partner]
            out_lengths[filled] = depth + 1
            filled += 1
            counter[partner] = 0
            local[partner] = index
        if depth + 1 < max_length and n_partners >= 2:
            height = max(1, min(n_partners, SQUARE_LIMIT // n_partners))
            if len(square) < height * n_partners:
                square = np.zeros(height * n_partners, np.int32)
            for top in range(0, n_partners - 1, height):
                bottom = min(top + height, n_partners)
                _count_square(
                    *(labels, position, row_end, begin, end),
                    *(local, top, bottom, n_partners, square, buffer),
                )
                for left in range(top, bottom):
                    base = (left - top) * n_partners
                    for right in range(left + 1, n_partners):
                        count = square[base + right]
                        square[base + right] = 0
                        if count < min_count:
                            continue
                        if filled == capacity:
                            resume[0] = label
                            resume[1] = whole
                            return -1
                        out_sets[filled, :depth] = prefix[:depth]
                        out_sets[filled, depth] = names[partners[left]]
                        out_sets[filled, depth + 1] = names[partners[right]]
                        out_counts[filled] = count
                        out_lengths[filled] = depth + 2
                        filled += 1
        for index in range(n_partners):
            local[partners[index]] = -1
    return filled


@njit(cache=True, nogil=True)
def grow_four(
    labels,
    first,
    position,
    row_end,
    names,
    low,
    high,
    prefix,
    max_length,
    min_count,
    out_sets,
    out_counts,
    out_lengths,
    resume,
):
    """`grow` for sets of up to four items: the rows behind each label are mined in their turn.

    Written out rather than recursive: Numba's cache does not bring recursive functions back.
    """
    n_labels = len(names)
    capacity = len(out_counts)
    counter = np.zeros(n_labels, np.int32)
    local = np.full(n_labels, -1, np.int32)
    partners = np.empty(n_labels, np.int32)
    inner_resume = np.zeros(2, np.int64)
    filled = 0
    for label in range(low, high):
        whole = filled
        begin, end = first[label], first[label + 1]
        n_partners = _count_partners(
            labels, position, row_end, begin, end, label, counter, partners, min_count
        )
        overflow = filled + n_partners > capacity
        prefix[0] = names[label]
        for index in range(n_partners):
            partner = partners[index]
            if not overflow:
                out_sets[filled, 0] = names[label]
                out_sets[filled, 1] = names[partner]
                out_counts[filled] = counter[partner]
                out_lengths[filled] = 2
                filled += 1
            counter[partner] = 0
            local[partner] = index
        if not overflow and n_partners >= 2:
            row_start, behind = _rows_behind(labels, position, row_end, begin, end, local)
            behind_first, behind_position, behind_end = occurrences(row_start, behind, n_partners)
            filled = grow(
                *(behind, behind_first, behind_position, behind_end, names[partners[:n_partners]]),
                *(0, n_partners, prefix, 2, max_length, min_count),
                *(out_sets, out_counts, out_lengths, filled, inner_resume),
            )
            overflow = filled < 0
        if overflow:
            resume[0] = label
            resume[1] = whole
            return -1
        for index in range(n_partners):
            local[partners[index]] = -1
    return filled
