"""Compiled counting kernels: horizontal scans with array counters, after Uno's LCM.

Baskets are rows of ascending labels. The occurrences of a label are visited and what follows it
in each row is counted in an array ("occurrence deliver", Uno, Kiyomi and Arimura, LCM ver. 2,
2004), so that a candidate costs nothing before it occurs. Sets of three and more grow only from
frequent pairs: the rows behind a label, cut down to its frequent partners, are mined in turn.
The rows of a label lie far apart, so each is asked for some occurrences before it is read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from training.mining.compiled import compiled, prefetch

SQUARE_LIMIT = 1 << 22
"""Counters of pairs of partners held at a time (16 MiB of int32); more are counted in strips."""
_AHEAD = 8
_GAPS = (1750, 701, 301, 132, 57, 23, 10, 4, 1)


class Rows(NamedTuple):
    """Rows of ascending labels, and where each label stands in them.

    Attributes:
        labels: uint32 (n,), the rows one behind the other; n stays below 2**31.
        first: int64 (n_labels + 1,); the occurrences of label a are
            `position[first[a]:first[a + 1]]`.
        position, row_end: uint32 (n,), the place of each occurrence and where its row ends.
        held: uint8 (n_long, n_labels), rows too long to be walked, 1 where they hold a label; they
            are not in `labels`, and fewer than the least count asked for.
    """

    labels: Any
    first: Any
    position: Any
    row_end: Any
    held: Any


class Room(NamedTuple):
    """Buffers for sets that were found.

    Attributes:
        sets: int32 (capacity, max_length), names of the labels of each set.
        counts: int64 (capacity,).
        lengths: int8 (capacity,).
    """

    sets: Any
    counts: Any
    lengths: Any


@compiled
def _sort(values, n_values):
    """Shell's sort of the first few, with Ciura's gaps; NumPy's takes seconds to compile."""
    for gap in _GAPS:
        for right in range(gap, n_values):
            value = values[right]
            left = right
            while left >= gap and values[left - gap] > value:
                values[left] = values[left - gap]
                left -= gap
            values[left] = value


@compiled
def _count_partners(rows, label, min_count, counter, partners):
    """Labels that stand behind `label` in at least `min_count` rows, ascending, into `partners`.

    Leaves their counts in `counter`, to be cleared by `_clear`; returns how many they are.
    """
    labels, position, row_end, held = rows.labels, rows.position, rows.row_end, rows.held
    begin, end = rows.first[label], rows.first[label + 1]
    n_held = 0
    for long in range(len(held)):
        n_held += held[long, label]
    enough = min_count - n_held
    n_partners = 0
    for occurrence in range(begin, end):
        if occurrence + _AHEAD < end:
            prefetch(labels, position[occurrence + _AHEAD])
        for place in range(position[occurrence] + 1, row_end[occurrence]):
            partner = labels[place]
            count = counter[partner] + 1
            counter[partner] = count
            if count == enough:
                partners[n_partners] = partner
                n_partners += 1
    if n_held:
        n_kept = 0
        for index in range(n_partners):
            partner = partners[index]
            for long in range(len(held)):
                counter[partner] += held[long, label] & held[long, partner]
            if counter[partner] >= min_count:
                partners[n_kept] = partner
                n_kept += 1
        n_partners = n_kept
    _sort(partners, n_partners)
    return n_partners


@compiled
def _clear(rows, label, counter):
    """Set to zero what `_count_partners` counted."""
    begin, end = rows.first[label], rows.first[label + 1]
    work = 0
    for occurrence in range(begin, end):
        work += rows.row_end[occurrence] - rows.position[occurrence]
    if 8 * work < len(counter) - label:
        for occurrence in range(begin, end):
            for place in range(rows.position[occurrence] + 1, rows.row_end[occurrence]):
                counter[rows.labels[place]] = 0
    else:
        counter[label:] = 0


@compiled
def _count_pairs(buffer, n_found, low, high, n_partners, square):
    for left in range(n_found - 1):
        if buffer[left] >= high:
            break
        base = (buffer[left] - low) * n_partners
        for right in range(left + 1, n_found):
            square[base + buffer[right]] += 1


@compiled
def _count_square(rows, label, local, partners, n_partners, low, high, square, buffer):
    """Count the pairs of partners that follow together, the first of them in [low, high).

    `square` is row-major, (high - low) x n_partners, of zeros. `local` ascends with the labels, so
    the partners of a row come in their own order.
    """
    labels, position, row_end, held = rows.labels, rows.position, rows.row_end, rows.held
    end = rows.first[label + 1]
    for occurrence in range(rows.first[label], end):
        if occurrence + _AHEAD < end:
            prefetch(labels, position[occurrence + _AHEAD])
        n_found = 0
        for place in range(position[occurrence] + 1, row_end[occurrence]):
            found = local[labels[place]]
            buffer[n_found] = found
            n_found += found >= low
        _count_pairs(buffer, n_found, low, high, n_partners, square)
    for long in range(len(held)):
        if held[long, label]:
            n_found = 0
            for index in range(low, n_partners):
                buffer[n_found] = index
                n_found += held[long, partners[index]]
            _count_pairs(buffer, n_found, low, high, n_partners, square)


@compiled
def grow(rows, names, low, high, prefix, depth, max_length, min_count, room, filled, resume):
    """Write every frequent set of `depth` + 1 and `depth` + 2 items (`max_length` at most) that
    begins with `prefix` and a label in [low, high).

    Args:
        rows: of type Rows.
        names: int32 (n_labels,), what each label is called in the output.
        prefix: int32 (max_length,), names of the labels already chosen, `depth - 1` of them.
        room: of type Room.
        filled: sets already in the room.
        resume: int64 (2,), where to go on after an overflow: the label, and how many sets in the
            room are whole.

    Returns:
        Sets in the room, or -1 where it did not suffice; nothing is lost, see `resume`.
    """
    n_labels = len(names)
    capacity = len(room.counts)
    counter = np.zeros(n_labels, np.int32)
    local = np.full(n_labels, -1, np.int32)
    partners = np.empty(n_labels, np.uint32)
    square = np.zeros(0, np.int32)
    # One place more than there are partners: what is no partner is written and overwritten.
    buffer = np.empty(n_labels + 1, np.int32)
    for label in range(low, high):
        whole = filled
        n_partners = _count_partners(rows, label, min_count, counter, partners)
        if filled + n_partners > capacity:
            resume[0] = label
            resume[1] = whole
            return -1
        prefix[depth - 1] = names[label]
        for index in range(n_partners):
            for place in range(depth):
                room.sets[filled, place] = prefix[place]
            room.sets[filled, depth] = names[partners[index]]
            room.counts[filled] = counter[partners[index]]
            room.lengths[filled] = depth + 1
            filled += 1
        _clear(rows, label, counter)
        if depth + 1 == max_length or n_partners < 2:
            continue
        for index in range(n_partners):
            local[partners[index]] = index
        height = max(1, min(n_partners, SQUARE_LIMIT // n_partners))
        if len(square) < height * n_partners:
            square = np.zeros(height * n_partners, np.int32)
        for top in range(0, n_partners - 1, height):
            bottom = min(top + height, n_partners)
            _count_square(rows, label, local, partners, n_partners, top, bottom, square, buffer)
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
                    for place in range(depth):
                        room.sets[filled, place] = prefix[place]
                    room.sets[filled, depth] = names[partners[left]]
                    room.sets[filled, depth + 1] = names[partners[right]]
                    room.counts[filled] = count
                    room.lengths[filled] = depth + 2
                    filled += 1
        for index in range(n_partners):
            local[partners[index]] = -1
    return filled


@compiled
def _behind(rows, label, local, partners, n_partners):
    """The rows behind `label`, cut down to its partners, which are relabelled by `local`."""
    begin, end = rows.first[label], rows.first[label + 1]
    size = 0
    for occurrence in range(begin, end):
        size += rows.row_end[occurrence] - rows.position[occurrence]
    for long in range(len(rows.held)):
        size += rows.held[long, label] * n_partners
    labels = np.empty(size, np.uint32)
    ends = np.empty(end - begin + len(rows.held), np.int64)
    first = np.zeros(n_partners + 1, np.int64)
    n_rows = 0
    filled = 0
    for occurrence in range(begin, end):
        if occurrence + _AHEAD < end:
            prefetch(rows.labels, rows.position[occurrence + _AHEAD])
        start = filled
        for place in range(rows.position[occurrence] + 1, rows.row_end[occurrence]):
            found = local[rows.labels[place]]
            if found >= 0:
                labels[filled] = found
                filled += 1
        if filled - start < 2:
            filled = start
        else:
            ends[n_rows] = filled
            n_rows += 1
    for long in range(len(rows.held)):
        if rows.held[long, label]:
            for index in range(n_partners):
                if rows.held[long, partners[index]]:
                    labels[filled] = index
                    filled += 1
            ends[n_rows] = filled
            n_rows += 1
    for place in range(filled):
        first[labels[place] + 1] += 1
    for partner in range(n_partners):
        first[partner + 1] += first[partner]
    fill = first.copy()
    position = np.empty(filled, np.uint32)
    row_end = np.empty(filled, np.uint32)
    start = 0
    for row in range(n_rows):
        for place in range(start, ends[row]):
            slot = fill[labels[place]]
            position[slot] = place
            row_end[slot] = ends[row]
            fill[labels[place]] = slot + 1
        start = ends[row]
    # Of the same types as all rows, so that nothing is compiled for these alone.
    none_held = np.empty((0, n_partners), np.uint8)
    return Rows(labels[:filled], first, position, row_end, none_held)


@compiled
def rows_behind(rows, label, min_count):
    """(the frequent partners of `label`, ascending; its rows behind, cut down to them)."""
    n_labels = len(rows.first) - 1
    counter = np.zeros(n_labels, np.int32)
    local = np.full(n_labels, -1, np.int32)
    partners = np.empty(n_labels, np.uint32)
    n_partners = _count_partners(rows, label, min_count, counter, partners)
    for index in range(n_partners):
        local[partners[index]] = index
    return partners[:n_partners].copy(), _behind(rows, label, local, partners, n_partners)


@compiled
def grow_deeper(rows, names, low, high, prefix, depth, max_length, min_count, room, resume):
    """`grow` for sets of `depth` + 3 items too: the rows behind each label are mined in turn.

    Written out rather than recursive: Numba's cache does not bring recursive functions back.
    """
    n_labels = len(names)
    counter = np.zeros(n_labels, np.int32)
    local = np.full(n_labels, -1, np.int32)
    partners = np.empty(n_labels, np.uint32)
    inner_resume = np.zeros(2, np.int64)
    filled = 0
    for label in range(low, high):
        whole = filled
        n_partners = _count_partners(rows, label, min_count, counter, partners)
        prefix[depth - 1] = names[label]
        overflow = filled + n_partners > len(room.counts)
        if not overflow:
            for index in range(n_partners):
                for place in range(depth):
                    room.sets[filled, place] = prefix[place]
                room.sets[filled, depth] = names[partners[index]]
                room.counts[filled] = counter[partners[index]]
                room.lengths[filled] = depth + 1
                filled += 1
        _clear(rows, label, counter)
        if not overflow and n_partners >= 2:
            for index in range(n_partners):
                local[partners[index]] = index
            behind = _behind(rows, label, local, partners, n_partners)
            for index in range(n_partners):
                local[partners[index]] = -1
            filled = grow(
                *(behind, names[partners[:n_partners]], 0, n_partners, prefix, depth + 1),
                *(max_length, min_count, room, filled, inner_resume),
            )
            overflow = filled < 0
        if overflow:
            resume[0] = label
            resume[1] = whole
            return -1
    return filled
