"""Splits in time keep the catalogue and lose no order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.errors import DataError
from mersalg.engine.fact_values import parse_instant
from mersalg.training.reading.dataset import Dataset, split_at, split_by_time
from tests.support.shop_files import config, line, load


@pytest.fixture(scope="module")
def ten_days(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Eleven orders: nine on the first day, then one after five and one after ten days."""
    days = [*(f"2025-03-01 10:0{minute}" for minute in range(9)), "2025-03-06", "2025-03-11"]
    rows = [line(f"{n:02}", "a", day) for n, day in enumerate(days)]
    rows.append(line("10", "only-last", days[-1]))
    return load(tmp_path_factory.mktemp("shop"), config(), rows)


def test_the_share_is_of_time_not_of_orders(ten_days: Dataset) -> None:
    train, test = split_by_time(ten_days, 0.2)
    assert (train.n_orders, test.n_orders) == (10, 1)
    train, test = split_by_time(ten_days, 0.6)
    assert (train.n_orders, test.n_orders) == (9, 2)
    assert train.catalogue is test.catalogue is ten_days.catalogue
    assert list(test.order_ids) == ["09", "10"]
    assert len(train.lines) + len(test.lines) == len(ten_days.lines)


def test_a_shop_that_grew_fast_learns_from_most_of_its_orders(tmp_path: Path) -> None:
    days = [f"2025-03-{day:02}" for day in range(1, 5)]
    days += [f"2025-03-11 10:{minute:02}" for minute in range(16)]
    rows = [line(f"{n:02}", "a", day) for n, day in enumerate(days)]
    train, test = split_by_time(load(tmp_path, config(), rows), 0.25)
    assert (train.n_orders, test.n_orders) == (15, 5)


@given(st.floats(0.01, 0.89))
def test_no_order_is_lost_and_the_later_come_later(ten_days: Dataset, share: float) -> None:
    train, test = split_by_time(ten_days, share)
    assert [*train.order_ids, *test.order_ids] == list(ten_days.order_ids)
    assert train.ordered_at.max() < test.ordered_at.min()


def test_at_an_instant(ten_days: Dataset) -> None:
    moment = int(ten_days.ordered_at[4])
    train, test = split_at(ten_days, moment)
    assert (train.n_orders, test.n_orders) == (4, 7)
    assert int(test.ordered_at[0]) == moment
    with pytest.raises(DataError, match="at 2030-01-01T00:00:00"):
        split_at(ten_days, parse_instant("2030-01-01T00:00:00Z"))


def test_without_times_the_last_orders_are_held_out(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(
        "order_id,item_id\n" + "".join(f"{n},a\n" for n in range(10))
    )
    dataset = load(tmp_path, config(columns={}))
    train, test = split_by_time(dataset, 0.25)
    assert (train.n_orders, list(test.order_ids)) == (8, ["8", "9"])
    assert split_by_time(dataset, 0.01)[1].n_orders == 1


def test_one_moment_cannot_be_split(tmp_path: Path) -> None:
    dataset = load(tmp_path, config(), [line("1", "a"), line("2", "a")])
    with pytest.raises(DataError, match="2 orders cannot be split in time"):
        split_by_time(dataset, 0.2)
    with pytest.raises(DataError, match="no orders"):
        split_by_time(dataset.select_orders(dataset.ordered_at == 0), 0.2)
