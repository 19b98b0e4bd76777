"""Rules store by store: counts that add up, Simpson's reversal found, noise left in peace."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom
from statsmodels.stats.contingency_tables import StratifiedTable

from mersalg.engine.arrays import Ragged, arrays_of
from mersalg.engine.config import load_config
from mersalg.engine.cross_sell.rules import RuleTable
from mersalg.engine.cross_sell.stores import AGREES, CONTRADICTED, MIXED, StoreCounts
from mersalg.engine.errors import ModelCorrupt
from mersalg.engine.model import Model
from mersalg.engine.model_check import self_check
from mersalg.engine.orders import Baskets
from mersalg.engine.progress import SilentProgress
from mersalg.engine.registry import Registry
from mersalg.training.mining import tallies
from mersalg.training.mining.protocol import get_engine
from mersalg.training.mining.search import mine_rules
from mersalg.training.mining.tallies import (
    Tables,
    count_by_store,
    crude_log_odds,
    mantel_haenszel,
    tables_by_stratum,
)
from mersalg.training.model_fit import fit_model, store_of_order
from mersalg.training.pipeline import train
from mersalg.training.reading.dataset import load_dataset
from tests.support.commands import run

ENGINE = get_engine("mlxtend")
A, C = 0, 1
Store = tuple[int, int, int, int]
"""Orders with A and c, with A alone, with c alone, with neither."""


def orders_of(stores: list[Store]) -> tuple[Baskets, np.ndarray]:
    """Every order holds item 2 as well."""
    orders = [
        (number, held)
        for number, counts in enumerate(stores)
        for count, held in zip(counts, ((A, C, 2), (A, 2), (C, 2), (2,)), strict=True)
        for _ in range(count)
    ]
    pairs = [(row, item) for row, (_, held) in enumerate(orders) for item in held]
    rows, items = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    store = np.array([number for number, _ in orders], dtype=np.int64)
    return Baskets.from_pairs(rows, items, len(orders), 3), store


def rules_of(baskets: Baskets, max_length: int = 2) -> RuleTable:
    return mine_rules(
        baskets,
        ENGINE,
        min_count=1,
        max_length=max_length,
        progress=SilentProgress(),
        all_rules=True,
    ).table


def a_to_c(stores: list[Store]) -> tuple[RuleTable, Baskets, np.ndarray]:
    baskets, store = orders_of(stores)
    table = rules_of(baskets)
    rule = [
        place
        for place in range(len(table))
        if table.antecedents[place].tolist() == [A] and table.consequent[place] == C
    ]
    return table.take(np.array(rule)), baskets, store


def counted(stores: list[Store]) -> tuple[RuleTable, StoreCounts]:
    table, baskets, store = a_to_c(stores)
    return table, count_by_store(table, baskets, store, len(stores), 0.05)


# Charig et al. (1986): open surgery against the other treatment, kidney stones of two sizes; the
# outcome is success. Bickel, Hammel and O'Connell (1975): men against women at Berkeley, 1973, the
# six largest departments; the outcome is admission.
KIDNEY_STONES: list[Store] = [(234, 36, 81, 6), (55, 25, 192, 71)]
BERKELEY: list[Store] = [
    (512, 313, 89, 19),
    (353, 207, 17, 8),
    (120, 205, 202, 391),
    (138, 279, 131, 244),
    (53, 138, 94, 299),
    (22, 351, 24, 317),
]


@pytest.mark.parametrize(
    ("stores", "crude", "common"), [(KIDNEY_STONES, 1.336, 0.692), (BERKELEY, 1.841, 0.905)]
)
def test_the_classic_reversals_are_found(stores: list[Store], crude: float, common: float) -> None:
    table, counts = counted(stores)
    assert np.exp(crude_log_odds(table)) == pytest.approx([crude], abs=2e-3)
    assert np.exp(counts.log_odds) == pytest.approx([common], abs=2e-3)
    assert counts.flag.tolist() == [CONTRADICTED]


def test_stores_that_agree_are_no_reversal_however_they_differ() -> None:
    _, counts = counted([(90, 10, 300, 600), (20, 80, 100, 1800), (5, 5, 50, 450)])
    assert counts.flag.tolist() == [AGREES]


def test_one_store_that_opposes_is_reported_and_not_dropped() -> None:
    agreeing: Store = (300, 100, 100, 500)
    _, counts = counted([agreeing, agreeing, agreeing, (10, 190, 190, 110)])
    assert counts.flag.tolist() == [MIXED]


def test_chance_alone_raises_no_flag() -> None:
    """500 rules that hold the same everywhere, each in 20 small stores."""
    draw = np.random.default_rng(11)
    n_orders, n_stores, n_pairs = 4_000, 20, 500
    store = draw.integers(0, n_stores, n_orders)
    first = draw.random((n_orders, n_pairs)) < 0.02
    second = draw.random((n_orders, n_pairs)) < np.where(first, 0.12, 0.04)
    rows, columns = np.nonzero(np.concatenate([first, second], axis=1))
    baskets = Baskets.from_pairs(rows, columns, n_orders, 2 * n_pairs)
    pairs = range(n_pairs)
    n_antecedent, n_consequent = first.sum(axis=0), second.sum(axis=0)
    table = RuleTable(
        Ragged.of_rows([[pair] for pair in pairs], np.int32),
        np.array([n_pairs + pair for pair in pairs], dtype=np.int32),
        (first & second).sum(axis=0),
        n_antecedent,
        n_consequent,
        n_orders,
    )
    counts = count_by_store(table, baskets, store, n_stores, 0.05)
    assert (counts.flag == CONTRADICTED).sum() == 0
    assert (counts.flag == MIXED).sum() <= 1


@given(
    stores=st.lists(st.tuples(*[st.integers(1, 40)] * 4), min_size=2, max_size=5),
)
def test_the_common_odds_ratio_is_that_of_statsmodels(stores: list[Store]) -> None:
    table, baskets, store = a_to_c(stores)
    ((_, tables),) = tables_by_stratum(table, baskets, store, len(stores))
    log_odds, error = mantel_haenszel(tables)
    oracle = StratifiedTable([np.array([[a, b], [c, d]]) for a, b, c, d in stores])
    assert log_odds[0] == pytest.approx(oracle.logodds_pooled, abs=1e-9)
    assert error[0] == pytest.approx(oracle.logodds_pooled_se, rel=1e-9)


@given(
    orders=st.lists(
        st.tuples(st.frozensets(st.integers(0, 5), min_size=1, max_size=4), st.integers(-1, 3)),
        min_size=1,
        max_size=40,
    ),
    at_a_time=st.sampled_from([1, 7, 2_000_000]),
)
def test_the_stores_add_up_to_all_orders(
    orders: list[tuple[frozenset[int], int]], at_a_time: int
) -> None:
    pairs = [(row, item) for row, (held, _) in enumerate(orders) for item in held]
    rows, items = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    baskets = Baskets.from_pairs(rows, items, len(orders), 6)
    store = np.array([number for _, number in orders], dtype=np.int64)
    table = rules_of(baskets, 3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tallies, "_CELLS_AT_A_TIME", at_a_time)
        counts = count_by_store(table, baskets, store, 4, 0.05)
        given_rules = [
            (rules, found)
            for rules, found in tables_by_stratum(table, baskets, np.where(store < 0, 4, store), 5)
        ]
    positions = np.concatenate([np.zeros(0, dtype=np.int64), *(rules for rules, _ in given_rules)])
    assert sorted(positions.tolist()) == list(range(len(table)))
    for rules, found in given_rules:
        for name in ("n_joint", "n_antecedent", "n_consequent"):
            np.testing.assert_array_equal(
                getattr(found, name).sum(axis=1), getattr(table, name)[rules]
            )
        assert found.n_orders.sum() == table.n_orders
    rule = counts.stores.owners()
    for name in ("n_joint", "n_antecedent"):
        summed = np.bincount(rule, getattr(counts, name), minlength=len(table))
        np.testing.assert_array_equal(summed, getattr(table, name))
    # And each cell is what a count by hand gives.
    for place in range(min(len(counts.stores.values), 20)):
        antecedent = set(table.antecedents[rule[place]].tolist())
        whole = antecedent | {int(table.consequent[rule[place]])}
        number = -1 if counts.stores.values[place] == 4 else counts.stores.values[place]
        here = [held for held, where in orders if where == number]
        assert counts.n_antecedent[place] == sum(antecedent <= held for held in here)
        assert counts.n_joint[place] == sum(whole <= held for held in here)


def test_confidence_is_shrunk_as_far_as_stores_are_alike() -> None:
    draw = np.random.default_rng(3)
    n_antecedent = draw.integers(20, 400, 300)

    def shrunk(n_joint: np.ndarray) -> tuple[np.ndarray, float]:
        counts = StoreCounts(
            Ragged.of_rows([range(300)], np.int32),
            n_joint.astype(np.int32),
            n_antecedent.astype(np.int32),
            n_antecedent.astype(np.int32),
            np.zeros(1, dtype=np.int8),
            np.zeros(1),
        )
        joint, antecedent = int(n_joint.sum()), int(n_antecedent.sum())
        table = RuleTable(
            Ragged.of_rows([[0]], np.int32),
            np.array([1], dtype=np.int32),
            np.array([joint]),
            np.array([antecedent]),
            np.array([joint]),
            antecedent,
        )
        return counts.shrunk_confidence(table), joint / antecedent

    # Stores whose true confidence is Beta(6, 14): mean 0.3, worth 20 orders.
    n_joint = betabinom.rvs(n_antecedent, 6, 14, random_state=draw)
    found, _ = shrunk(n_joint)
    np.testing.assert_allclose(found, (n_joint + 6) / (n_antecedent + 20), atol=0.02)
    # Stores that do not differ: all are drawn to the whole nearly or quite.
    found, mean = shrunk(draw.binomial(n_antecedent, 0.3))
    assert np.abs(found - mean).max() < 0.02
    # A rule that never fails, anywhere, leaves nothing to shrink.
    found, _ = shrunk(n_antecedent)
    np.testing.assert_array_equal(found, np.ones(300))


def test_only_the_largest_stores_are_kept_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tallies, "MAX_CELLS", 1)
    _, counts = counted([(5, 5, 5, 5), (50, 50, 50, 50), (8, 8, 8, 8)])
    assert counts.stores.values.tolist() == [1]


SHOP = """
[shop]
name = "Two stores"
currency = "NOK"
[orders]
path = "orders.csv"
columns = { ordered_at = "ordered_at", store_id = "store" }
"""


def write_chain(folder: Path) -> Path:
    """Items x and y stand in the orders of two stores as in the study of kidney stones, times 8."""
    folder.mkdir()
    lines = ["order_id,ordered_at,store,item_id"]
    number = 0
    for place, counts in enumerate(KIDNEY_STONES):
        for count, held in zip(counts, (("x", "y"), ("x",), ("y",), ()), strict=True):
            for _ in range(8 * count):
                number += 1
                items = [*held, "bag", *(("cup", "pot") if number % 3 else ())]
                # All orders are as full, so that fullness explains nothing.
                items += [f"odd-{number}-{place}" for place in range(5 - len(items))]
                day = f"2026-{1 + number % 6:02}-{1 + number % 28:02}"
                lines += [
                    f"o{number},{day},{'north' if place else 'south'},{item}" for item in items
                ]
    lines += ["lost,2026-03-01,,bag", "moved,2026-03-01,south,bag", "moved,2026-03-01,north,cup"]
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")
    (folder / "shop.toml").write_text(SHOP)
    return folder


def named(model: Model, table: RuleTable) -> set[tuple[str, str]]:
    ids = model.catalogue.items
    return {
        (ids[int(table.antecedents[rule][0])], ids[int(table.consequent[rule])])
        for rule in range(len(table))
    }


def test_what_the_stores_contradict_is_not_offered(tmp_path: Path) -> None:
    folder = write_chain(tmp_path / "chain")
    config = load_config(folder / "shop.toml")
    dataset = load_dataset(config, folder, SilentProgress())
    store = store_of_order(dataset)
    known = [dataset.store_ids[one] if one >= 0 else None for one in store.tolist()]
    by_order = dict(zip(dataset.order_ids, known, strict=True))
    assert (by_order["lost"], by_order["moved"], by_order["o1"]) == (None, "north", "south")
    result = train(config, folder, folder / "models", progress=SilentProgress())
    model = Registry(folder / "models").load(result.version)
    assert model.stores is not None
    assert named(model, model.stores.contradicted_rules) == {("x", "y"), ("y", "x")}
    assert result.counts["rules_contradicted"] == 2
    assert ("x", "y") not in named(model, model.rules)
    assert ("cup", "pot") in named(model, model.rules)
    assert model.stores.n_orders.tolist() == [int((store == place).sum()) for place in (0, 1, -1)]
    assert list(model.stores.store_ids) == ["north", "south"]
    shown = json.loads(run("models", "show", "--stores", "--json", "--models", folder / "models"))
    rule = shown["stores"]["contradicted"][0]
    assert shown["stores"]["n_contradicted"] == 2
    assert rule["lift"] > 1 > rule["odds_ratio_of_stores"]
    assert sum(store["n_joint"] for store in rule["stores"]) == rule["n_joint"]
    reported = run("models", "show", "--stores", "--models", folder / "models")
    assert "2 rules not offered: the stores together contradict them" in reported
    expected = fit_model(dataset, config, ENGINE, SilentProgress()).model
    assert expected.stores is not None
    for name, array in arrays_of(expected.stores).items():
        np.testing.assert_array_equal(arrays_of(model.stores)[name], array)


def test_a_shop_of_one_store_has_none_to_ask(tmp_path: Path) -> None:
    folder = write_chain(tmp_path / "chain")
    path = folder / "orders.csv"
    path.write_text(path.read_text().replace("north", "south"))
    config = load_config(folder / "shop.toml")
    result = train(config, folder, folder / "models", progress=SilentProgress())
    model = Registry(folder / "models").load(result.version)
    assert model.stores is None
    assert not any(name.startswith("stores.") for name in model.arrays())
    reported = run("models", "show", "--stores", "--models", folder / "models")
    assert "not known to be of several stores" in reported
    assert ("x", "y") in named(model, model.rules)


def test_counts_that_do_not_fit_are_found(tmp_path: Path) -> None:
    folder = write_chain(tmp_path / "chain")
    config = load_config(folder / "shop.toml")
    dataset = load_dataset(config, folder, SilentProgress())
    model = fit_model(dataset, config, ENGINE, SilentProgress()).model
    arrays = model.arrays()
    for name, array, problem in (
        ("offered.flag", np.zeros(1, dtype=np.int8), "offered.flag has shape"),
        ("offered.stores.values", arrays["stores.offered.stores.values"] + 9, "points outside"),
        ("contradicted.n_antecedent", arrays["stores.contradicted.n_antecedent"] * 0, "impossible"),
        ("n_orders", np.zeros(1, dtype=np.int64), "stores.n_orders has shape"),
    ):
        broken = {**arrays, f"stores.{name}": array}
        with pytest.raises(ModelCorrupt, match=problem):
            self_check(Model.of_arrays("broken", model.settings, broken))


def test_tables_of_no_rule_are_none() -> None:
    baskets, store = orders_of(KIDNEY_STONES)
    counts = count_by_store(RuleTable.empty(baskets.n_orders), baskets, store, 2, 0.05)
    assert len(counts) == 0
    assert counts.shrunk_confidence(RuleTable.empty(baskets.n_orders)).tolist() == []
    empty = np.zeros((0, 2), dtype=np.int64)
    log_odds, _ = mantel_haenszel(Tables(empty, empty, empty, np.array([3, 4])))
    assert log_odds.shape == (0,)
