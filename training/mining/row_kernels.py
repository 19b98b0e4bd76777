"""Compiled kernels that file baskets by label: rows of ascending labels, and where each stands."""

from __future__ import annotations

from training.mining.compiled import compiled, prefetch

_AHEAD = 16


@compiled
def count_items(items, low, high, n_of_item):
    """Add the entries `items[low:high]` to int32 `n_of_item`."""
    for entry in range(low, high):
        n_of_item[items[entry]] += 1


@compiled
def file_block(
    indptr, items, label_of, low, high, fill, start, bounds, labels, position, row_end, work
):
    """File the orders of [low, high) by label; infrequent items are left out.

    Rows come out sorted without a sort: the entries are dealt out to their labels, and then the
    labels, in ascending order, to their rows.

    Args:
        indptr, items: CSR of the baskets.
        label_of: int32 (n_items,), label of each item, -1 where it is infrequent.
        fill: int64 (n_labels,), where this block's occurrences of each label begin; moved on.
        start: where this block's rows begin in `labels`.
        bounds: uint32 (2 * (high - low),), room to work in.
        labels: uint32 (n,), the rows one behind the other; written.
        position, row_end: uint32 (n,), where each occurrence stands and where its row ends;
            written.
        work: int64 (n_labels,), entries behind each label in its rows; added to.
    """
    first = fill.copy()
    where = start
    for order in range(low, high):
        row = order - low
        bounds[2 * row] = where
        for entry in range(indptr[order], indptr[order + 1]):
            label = label_of[items[entry]]
            if label >= 0:
                slot = fill[label]
                position[slot] = row
                fill[label] = slot + 1
                where += 1
        bounds[2 * row + 1] = where
    for label in range(len(fill)):
        behind = 0
        end = fill[label]
        for occurrence in range(first[label], end):
            if occurrence + _AHEAD < end:
                prefetch(bounds, 2 * position[occurrence + _AHEAD])
            row = position[occurrence]
            place = bounds[2 * row]
            stop = bounds[2 * row + 1]
            bounds[2 * row] = place + 1
            labels[place] = label
            position[occurrence] = place
            row_end[occurrence] = stop
            behind += stop - place
        work[label] += behind
