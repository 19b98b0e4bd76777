"""Takes returned units off the purchases they came from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from mersalg.engine.arrays import Float64s
from mersalg.training.reading.arrow import pc
from mersalg.training.reading.keys import MISSING
from mersalg.training.reading.validation import ReturnsQuality

_NOTHING = 1e-9
"""Less than this of a unit is what rounding leaves of a weighed quantity."""


def _settle(units: Float64s, events: pd.DataFrame) -> None:
    """Take returned units off the latest purchases before them, key by key.

    `units`: not yet given back of each line. `events` holds `key`, `returned` and the line as
    index, in the order in which they happened.
    """
    stack = list[int]()
    current = None
    rows = zip(
        events["key"].tolist(), events["returned"].tolist(), events.index.tolist(), strict=True
    )
    for key, is_return, line in rows:
        if key != current:
            current, stack = key, []
        if not is_return:
            stack.append(line)
            continue
        while stack and units[line] > _NOTHING:
            taken = min(units[line], units[stack[-1]])
            units[line] -= taken
            units[stack[-1]] -= taken
            if units[stack[-1]] <= _NOTHING:
                stack.pop()


def subtract_returns(
    lines: pd.DataFrame, order_texts: pa.Array, *, timed: bool
) -> tuple[pd.DataFrame, ReturnsQuality]:
    """Return the purchases that lasted, and what became of the returns.

    A return is matched to purchases of the same item: first to those of its own order, then,
    where the customer is known, to the customer's latest purchases at or before its time, unit by
    unit. What finds no purchase (the goods were bought before the file begins, or by a guest)
    changes nothing and is counted. Quantities and discounts are reduced in proportion.

    `lines` are those of `order_lines.OrderLines.frame`. `order_texts`, order ids by code, decide
    between purchases of one moment; unless `timed`, the order of the rows replaces time.
    """
    returned = lines["returned"].to_numpy()
    if not returned.any():
        return lines, ReturnsQuality()
    bought = lines["quantity"].to_numpy(dtype=np.float64)
    units = bought.copy()
    in_time = _in_time(lines, order_texts, timed=timed)
    _settle(units, _of_interest(in_time, ["order", "item"], returns_last=True))
    of_customers = in_time[in_time["customer"] != MISSING]
    _settle(units, _of_interest(of_customers, ["customer", "item"], returns_last=False))
    left = np.where(units <= _NOTHING, 0.0, units)

    lasting = ~returned & (left > 0)
    remaining = lines[lasting].copy()
    remaining["quantity"] = left[lasting]
    share = left[lasting] / bought[lasting]
    remaining["discount_minor"] = np.rint(remaining["discount_minor"] * share).astype(np.int64)
    unmatched = left[returned]
    orders_before = lines.loc[~returned, "order"].nunique()
    return remaining.reset_index(drop=True), ReturnsQuality(
        lines=int(returned.sum()),
        matched_units=float((bought[returned] - unmatched).sum()),
        unmatched_units=float(unmatched.sum()),
        unmatched_lines=int((unmatched > 0).sum()),
        lines_removed=int((~returned).sum() - lasting.sum()),
        orders_removed=int(orders_before - remaining["order"].nunique()),
    )


def _in_time(lines: pd.DataFrame, order_texts: pa.Array, *, timed: bool) -> pd.DataFrame:
    """Lines in the order in which they happened, purchases before returns of the same moment."""
    if not timed:
        return lines
    rank = np.empty(len(order_texts), dtype=np.int64)
    rank[pc.array_sort_indices(order_texts).to_numpy()] = np.arange(len(order_texts))
    # Every column that could tell two lines apart, so that the order of the rows cannot matter.
    keys = (
        lines["discount_minor"].to_numpy(),
        lines["unit_price_minor"].to_numpy(),
        lines["quantity"].to_numpy(),
        rank[lines["order"].to_numpy()],
        lines["returned"].to_numpy(),
        lines["ordered_at"].to_numpy(),
    )
    return lines.iloc[np.lexsort(keys)]


def _of_interest(lines: pd.DataFrame, by: list[str], *, returns_last: bool) -> pd.DataFrame:
    """Lines of those keys that hold both a purchase and a return, key by key, else in order."""
    first, second = (lines[name].to_numpy(dtype=np.int64) for name in by)
    key = first * (int(second.max(initial=0)) + 1) + second
    returned = lines["returned"].to_numpy()
    both = np.intersect1d(key[returned], key[~returned])
    events = pd.DataFrame({"key": key, "returned": returned}, index=lines.index)
    events = events[np.isin(key, both)]
    columns = ["key", "returned"] if returns_last else ["key"]
    return events.sort_values(columns, kind="stable")
