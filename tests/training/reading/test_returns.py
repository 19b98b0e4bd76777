"""Returned units are taken off the purchases they came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mersalg.training.reading.dataset import Dataset
from mersalg.training.reading.keys import MISSING
from mersalg.training.reading.returns import subtract_returns
from tests.support.shop_files import config, line, load


def day(number: int) -> str:
    return f"2025-03-{number:02} 12:00:00"


def bought(order: str, number: int, quantity: float = 1, **cells: Any) -> dict[str, Any]:
    return line(order, "a", day(number), quantity=quantity, **({"customer": "k"} | cells))


def units(dataset: Dataset) -> dict[str, float]:
    """Order id -> units left."""
    totals = dataset.lines.groupby("order")["quantity"].sum()
    return {dataset.order_ids[int(order)]: float(total) for order, total in totals.items()}


def test_the_latest_earlier_purchase_is_undone_first(tmp_path: Path) -> None:
    rows = [bought("1", 1, 5), bought("2", 2, 3), bought("3", 4, 9), bought("C4", 3, -4)]
    dataset = load(tmp_path, config(), rows)
    assert units(dataset) == {"1": 4, "3": 9}
    assert asdict(dataset.quality.returns) == {
        "lines": 1,
        "matched_units": 4,
        "unmatched_units": 0,
        "unmatched_lines": 0,
        "lines_removed": 1,
        "orders_removed": 1,
    }


def test_a_return_does_not_undo_a_later_purchase(tmp_path: Path) -> None:
    dataset = load(tmp_path, config(), [bought("C1", 1, -2), bought("2", 2, 2)])
    assert units(dataset) == {"2": 2}
    returns = dataset.quality.returns
    assert (returns.unmatched_units, returns.unmatched_lines) == (2, 1)


def test_more_returned_than_bought(tmp_path: Path) -> None:
    rows = [bought("1", 1, 2), bought("C2", 2, -5), line("3", "b", day(3))]
    dataset = load(tmp_path, config(), rows)
    assert units(dataset) == {"3": 1}
    returns = dataset.quality.returns
    assert (returns.matched_units, returns.unmatched_units) == (2, 3)
    assert (returns.unmatched_lines, returns.lines_removed, returns.orders_removed) == (1, 1, 1)


def test_customer_and_item_must_agree(tmp_path: Path) -> None:
    rows = [
        *[bought("1", 1), bought("C2", 2, -1, customer="other")],
        *[line("3", "b", day(1), "k"), bought("C4", 2, -1, customer="")],
    ]
    dataset = load(tmp_path, config(), rows)
    assert units(dataset) == {"1": 1, "3": 1}
    assert dataset.quality.returns.unmatched_lines == 2


def test_a_guests_return_inside_the_order(tmp_path: Path) -> None:
    rows = [bought("1", 1, 3, customer=""), bought("1", 2, -1, customer="")]
    assert units(load(tmp_path, config(), rows)) == {"1": 2}
    # Its own order comes before the customer's later ones.
    rows = [bought("1", 1, 3), bought("2", 2, 3), bought("1", 3, -2)]
    assert units(load(tmp_path, config(), rows)) == {"1": 1, "2": 3}


def test_a_cancellation_may_write_its_quantity_without_a_sign(tmp_path: Path) -> None:
    assert units(load(tmp_path, config(), [bought("1", 1, 3), bought("C1", 2, 2)])) == {"1": 1}
    kept = load(tmp_path, config(cancellation_prefix=""), [bought("1", 1, 3), bought("C1", 2, 2)])
    assert units(kept) == {"1": 3, "C1": 2}


def test_prices_of_returns_are_nobodys_business(tmp_path: Path) -> None:
    rows = [bought("1", 1, 3), bought("C2", 2, -1, price="-10"), bought("C3", 2, -1, price="x")]
    dataset = load(tmp_path, config(), rows)
    assert units(dataset) == {"1": 1}
    assert dataset.quality.orders.left_out == {}


def test_discounts_shrink_with_the_line(tmp_path: Path) -> None:
    rows = [bought("1", 1, 4, discount="10"), bought("C2", 2, -1)]
    dataset = load(tmp_path, config(), rows)
    assert dataset.lines["discount_minor"].tolist() == [750]


def test_weighed_goods_leave_no_dust(tmp_path: Path) -> None:
    rows = [bought("1", 1, 0.3), bought("C2", 2, -0.1), bought("C3", 2, -0.2), bought("4", 4)]
    assert units(load(tmp_path, config(), rows)) == {"4": 1}


def test_without_times_the_file_tells_what_came_first(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(
        "order_id,item_id,customer_id,quantity\n1,a,k,1\nC2,a,k,-1\n3,a,k,1\nC0,b,k,-1\n4,b,k,1\n"
    )
    columns = {"quantity": "quantity", "customer_id": "customer_id"}
    dataset = load(tmp_path, config(columns=columns))
    assert units(dataset) == {"3": 1, "4": 1}


CUSTOMER_OF_ORDER = (MISSING, 0, 0, 1)
LINES = st.lists(
    st.tuples(
        st.integers(0, 3),  # order
        st.integers(0, 1),  # item
        st.integers(1, 4),  # moment
        st.integers(1, 5),  # quantity
        st.booleans(),
    ).map(lambda line: (line[0], line[1], CUSTOMER_OF_ORDER[line[0]], *line[2:])),
    max_size=14,
)


def frame(lines: Sequence[tuple[int, int, int, int, int, bool]]) -> pd.DataFrame:
    names = ["order", "item", "customer", "ordered_at", "quantity", "returned"]
    data = pd.DataFrame(list(lines), columns=names)
    data = data.astype(dict.fromkeys(names[:4], np.int64) | {"returned": bool})
    data["quantity"] = data["quantity"].astype(np.float64)
    return data.assign(store=-1, unit_price_minor=100, discount_minor=0)


@given(LINES)
def test_unit_by_unit_by_hand(lines: list[tuple[int, int, int, int, int, bool]]) -> None:
    """Against one unit at a time: first inside the order, then the latest earlier purchase."""
    left = {place: entry[4] for place, entry in enumerate(lines)}
    purchases = [place for place, entry in enumerate(lines) if not entry[5]]
    returns = sorted(
        (place for place, entry in enumerate(lines) if entry[5]),
        key=lambda place: (lines[place][3], lines[place][0], lines[place][4]),
    )
    unmatched: Counter[int] = Counter()
    for own_order in (True, False):
        for place in returns:
            order, item, customer, moment, _, _ = lines[place]
            while left[place]:
                fitting = [
                    other
                    for other in purchases
                    if left[other]
                    and lines[other][1] == item
                    and (
                        lines[other][0] == order
                        if own_order
                        else lines[other][2] == customer != MISSING and lines[other][3] <= moment
                    )
                ]
                if not fitting:
                    break
                latest = max(fitting, key=lambda other: (lines[other][3], lines[other][0]))
                left[latest] -= 1
                left[place] -= 1
    for place in returns:
        unmatched[lines[place][1]] += left[place]
    kept, counts = subtract_returns(frame(lines), pa.array(["o0", "o1", "o2", "o3"]), timed=True)
    assert counts.lines == len(returns)
    assert counts.unmatched_units == sum(unmatched.values())
    assert counts.unmatched_lines == sum(1 for place in returns if left[place])
    assert counts.matched_units == sum(lines[place][4] - left[place] for place in returns)
    expected: Counter[tuple[int, int, int, int]] = Counter()
    for place in purchases:
        expected[lines[place][:4]] += left[place]
    found = kept.groupby(["order", "item", "customer", "ordered_at"])["quantity"].sum()
    assert {key: total for key, total in expected.items() if total} == dict(found.items())


@given(LINES, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    lines: list[tuple[int, int, int, int, int, bool]], chance: Any
) -> None:
    texts = pa.array(["o3", "o1", "o2", "o0"])
    mixed = list(lines)
    chance.shuffle(mixed)
    first, counts = subtract_returns(frame(lines), texts, timed=True)
    second, again = subtract_returns(frame(mixed), texts, timed=True)
    assert counts == again
    columns = ["order", "item", "customer", "ordered_at", "quantity"]
    pd.testing.assert_frame_equal(
        first[columns].sort_values(columns, ignore_index=True),
        second[columns].sort_values(columns, ignore_index=True),
    )
