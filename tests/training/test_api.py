"""The Python interface: drop-ins for mlxtend, mining and recommenders over data frames."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlxtend.frequent_patterns import association_rules, fpgrowth
from sklearn.base import clone

import mersalg
from mersalg.engine.errors import ConfigError, DataError
from tests.support.commands import run

NAMES = list("abcdefgh")


def one_hot(baskets: list[set[str]]) -> pd.DataFrame:
    return pd.DataFrame([[name in basket for name in NAMES] for basket in baskets], columns=NAMES)


def drawn(n: int = 300, seed: int = 4) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).random((n, len(NAMES))) < 0.35, columns=NAMES)


def shares(itemsets: pd.DataFrame) -> dict[frozenset[Any], float]:
    return dict(zip(itemsets["itemsets"], itemsets["support"].round(12), strict=True))


def lines_of(frame: pd.DataFrame) -> pd.DataFrame:
    rows, columns = np.nonzero(frame.to_numpy())
    return pd.DataFrame({"order_id": rows, "item_id": np.array(NAMES)[columns]})


BASKETS = st.lists(st.sets(st.sampled_from(NAMES)), min_size=1, max_size=30)


@given(baskets=BASKETS, support=st.integers(1, 20), longest=st.sampled_from([None, 1, 2, 3]))
def test_itemsets_are_those_of_mlxtend(
    baskets: list[set[str]], support: int, longest: int | None
) -> None:
    frame, least = one_hot(baskets), support / 20
    expected = fpgrowth(frame, least, use_colnames=True, max_len=longest)
    found = mersalg.fpgrowth(frame, least, use_colnames=True, max_len=longest)
    # mlxtend multiplies in floating point and loses or adds sets that are exactly on the threshold.
    exact = {
        items: share
        for items, share in shares(found).items()
        if abs(share - least) > 1e-9 or items in shares(expected)
    }
    beside = {
        items: share for items, share in shares(expected).items() if items in exact or share > least
    }
    assert exact == beside


@pytest.mark.parametrize(
    ("metric", "least"),
    [
        *(("confidence", 0.21), ("lift", 1.01), ("leverage", 0.0001), ("conviction", 1.01)),
        *(("jaccard", 0.201), ("support", 0.0401), ("zhangs_metric", 0.01)),
    ],
)
def test_rules_and_measures_are_those_of_mlxtend(metric: str, least: float) -> None:
    itemsets = fpgrowth(drawn(), 0.03, use_colnames=True)
    expected = association_rules(itemsets, metric=metric, min_threshold=least)
    found = mersalg.association_rules(itemsets, metric, least)
    assert list(found.columns) == list(expected.columns)
    both = expected.merge(found, on=["antecedents", "consequents"], suffixes=("", "_found"))
    assert len(both) == len(found) == len(expected) > 20
    for name in expected.columns[2:]:
        assert np.allclose(both[name], both[f"{name}_found"])


def test_a_rule_exactly_on_the_threshold_is_kept() -> None:
    # A fifth of the orders with either item, which mlxtend may lose to the last bit of a float.
    itemsets = fpgrowth(drawn(), 0.03, use_colnames=True)
    found = mersalg.association_rules(itemsets, "jaccard", 0.2)
    assert ((found["jaccard"] - 0.2).abs() < 1e-12).sum() == 4
    assert len(association_rules(itemsets, metric="jaccard", min_threshold=0.2)) == len(found) - 2


def test_rules_need_every_subset_of_a_set() -> None:
    pair = [frozenset("ab"), frozenset("a"), frozenset("b")]
    whole = pd.DataFrame({"support": [0.4, 0.5, 0.5], "itemsets": pair})
    assert len(mersalg.association_rules(whole, min_threshold=0.8)) == 2
    for row in (1, 2):
        with pytest.raises(KeyError, match="a subset of a listed set is not listed"):
            mersalg.association_rules(whole.drop(index=row))
    assert mersalg.association_rules(mersalg.fpgrowth([["a"], ["b"]], 0.9)).empty


def test_every_kind_of_baskets_gives_the_same() -> None:
    frame = drawn()
    expected = shares(mersalg.fpgrowth(frame, 0.1, use_colnames=True))
    sparse = frame.astype(pd.SparseDtype(np.bool_, fill_value=False))
    lists = [[name for name in NAMES if row[name]] for _, row in frame.iterrows()]
    for given_as in (sparse, frame.astype(int), pa.Table.from_pandas(frame), lists):
        assert shares(mersalg.fpgrowth(given_as, 0.1, use_colnames=True)) == expected
    positions = shares(mersalg.fpgrowth(frame, 0.1))
    assert {frozenset(NAMES[item] for item in items) for items in positions} == set(expected)


def test_blank_cells_of_rows_are_no_items() -> None:
    padded: Any = [["a", "b", None], ["a", float("nan"), pd.NA], ["a", "b", "c"], [None] * 3]
    rows: Any = [["a", "b"], ["a"], ["a", "b", "c"], []]
    pd.testing.assert_frame_equal(mersalg.fpgrowth(padded, 0.2), mersalg.fpgrowth(rows, 0.2))
    mined = [mersalg.mine(each, min_count=1, all_rules=True) for each in (padded, rows)]
    pd.testing.assert_frame_equal(*mined)
    cross_sell = mersalg.CrossSellRecommender().fit(*cafe())
    carts = [cross_sell.recommend([["small", *blank]]) for blank in ([None], [])]
    pd.testing.assert_frame_equal(*carts)


def test_numbers_that_pandas_made_floats_are_the_ids_of_the_orders() -> None:
    lines = pd.DataFrame({"order_id": np.repeat(np.arange(40), 2), "item_id": [1, 2] * 40})
    cross_sell = mersalg.CrossSellRecommender().fit(lines)
    frame = pd.DataFrame({"cart_id": [0, 0], "item_id": [1, None]})
    for carts in (frame, [[1.0]], [["1"]]):
        assert cross_sell.recommend(carts)["item_id"].tolist() == ["2"]
    tiers = mersalg.PriceTiers().fit(pd.DataFrame({"family": [7, 7], "price": [1, 2]}))
    beside_a_blank = pd.DataFrame({"family": [7, None], "price": [2, 2]})
    assert tiers.predict(beside_a_blank).tolist() == [1, -1]
    of_lists = mersalg.mine([[1.0, 2.0]] * 40, min_count=1, all_rules=True)
    pd.testing.assert_frame_equal(of_lists, mersalg.mine(lines, min_count=1, all_rules=True))


def test_what_is_no_one_hot_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="1 and 0, and nothing else"):
        mersalg.fpgrowth(pd.DataFrame({"a": [0, 2]}), 0.5)
    with pytest.raises(ValueError, match="above 0"):
        mersalg.fpgrowth(drawn(), 0.0)
    with pytest.raises(ValueError, match="metric must be one of"):
        mersalg.association_rules(mersalg.fpgrowth(drawn(), 0.1), metric="lifts")
    with pytest.raises(ValueError, match="no column 'item_id'; there are order_id"):
        mersalg.mine(pd.DataFrame({"order_id": [1]}))
    missing = drawn().astype("boolean").mask(drawn(seed=5))
    for frame in (missing, missing.astype("float64")):
        with pytest.raises(ValueError, match="1 and 0, and nothing else"):
            mersalg.fpgrowth(frame, 0.5)


@pytest.mark.parametrize("baskets", [["ab"], "ab", [b"ab"], [7], {"a": 1}, np.ones((2, 2))])
def test_a_basket_is_a_list_of_items(baskets: Any) -> None:
    with pytest.raises(TypeError, match=r"is a list of items, not|a list of lists is needed, not"):
        mersalg.fpgrowth(baskets, 0.5)
    with pytest.raises(TypeError, match=r"is a list of items, not|a list of lists is needed, not"):
        mersalg.mine(baskets)


def test_numbers_out_of_range_are_refused() -> None:
    lines = lines_of(drawn())
    for name, number in (("min_count", 0), ("min_count", 0.5), ("max_length", 1), ("max_q", 2)):
        with pytest.raises(ValueError, match=f"{name} must be"):
            mersalg.mine(lines, **{name: number})
    with pytest.raises(ValueError, match="max_len must be 0 or more"):
        mersalg.fpgrowth(drawn(), 0.5, max_len=-1)
    with pytest.raises(ValueError, match=r"at most 1, not 1\.5"):
        mersalg.fpgrowth(drawn(), 1.5)


def test_columns_may_be_sparse_in_part_or_of_one_name() -> None:
    frame = drawn()
    expected = shares(mersalg.fpgrowth(frame, 0.1))
    in_part = frame.assign(a=frame["a"].astype(pd.SparseDtype(np.bool_, fill_value=False)))
    assert shares(mersalg.fpgrowth(in_part, 0.1)) == expected
    assert shares(mersalg.fpgrowth(frame.set_axis(["a"] * 8, axis=1), 0.1)) == expected


@pytest.mark.parametrize("frame", [drawn().iloc[:0], drawn()[[]], pd.DataFrame(), drawn() & False])
def test_where_nothing_is_frequent_the_frames_are_empty(frame: pd.DataFrame) -> None:
    itemsets = mersalg.fpgrowth(frame, 0.5, use_colnames=True)
    rules = mersalg.association_rules(itemsets)
    some = mersalg.fpgrowth(drawn(), 0.1)
    assert itemsets.empty
    assert rules.empty
    assert itemsets.dtypes.equals(some.dtypes)
    assert rules.dtypes.equals(mersalg.association_rules(some, min_threshold=0).dtypes)


def test_mined_rules_are_those_of_the_command(tmp_path: Any) -> None:
    lines = lines_of(drawn())
    lines.astype(str).to_parquet(tmp_path / "orders.parquet")
    options = ("--min-count", 5, "--all-rules", "--out", tmp_path / "rules.parquet")
    run("mine", tmp_path / "orders.parquet", *options)
    expected = pd.read_parquet(tmp_path / "rules.parquet")
    found = mersalg.mine(lines, min_count=5, all_rules=True)
    pd.testing.assert_frame_equal(found, expected)


def cafe() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Orders in which pastry goes with coffee, and a catalogue with a larger coffee."""
    rng = np.random.default_rng(8)
    rows: list[tuple[int, str]] = []
    for order in range(400):
        coffee = "large" if rng.random() < 0.3 else "small"
        rows.append((order, coffee if rng.random() < 0.7 else "juice"))
        if rows[-1][1] != "juice" and rng.random() < 0.6:
            rows.append((order, "pastry"))
    orders = pd.DataFrame(rows, columns=["order_id", "item_id"])
    items = pd.DataFrame(
        {
            "item_id": ["small", "large", "pastry", "juice"],
            "family": ["coffee", "coffee", "pastry", "juice"],
            "price": ["40.00", "50.00", "30.00", "45.00"],
            "size_ml": ["250", "400", "", "300"],
        }
    )
    return orders, items


def test_a_recommender_finds_what_goes_with_a_cart() -> None:
    orders, items = cafe()
    recommender = mersalg.CrossSellRecommender(currency="NOK").fit(orders, items)
    found = recommender.recommend([["small"], ["unheard of"]], k=1)
    first = found.iloc[0]
    assert (first["cart_id"], first["rank"], first["item_id"]) == (0, 1, "pastry")
    assert first["antecedent_item_ids"] == ("small",)
    in_frame = pd.DataFrame({"cart_id": ["x", "x"], "item_id": ["small", None]})
    assert recommender.recommend(in_frame, k=1)["item_id"].tolist() == ["pastry"]
    held = orders[orders["item_id"] == "small"]["order_id"]
    joint = orders[orders["order_id"].isin(held) & (orders["item_id"] == "pastry")]
    assert (first["n_joint"], first["n_antecedent"]) == (len(joint), len(held))
    assert clone(recommender).get_params() == {
        "currency": "NOK",
        "mode": "discovery",
        "settings": None,
    }


def test_settings_of_a_recommender_are_checked() -> None:
    orders, items = cafe()
    with pytest.raises(ConfigError, match=r"training\.min_cout .* did you mean min_count"):
        mersalg.CrossSellRecommender(settings={"training": {"min_cout": 3}}).fit(orders, items)
    with pytest.raises(DataError, match="there are no rows"):
        mersalg.CrossSellRecommender().fit(orders.iloc[:0], items)
    fitted = mersalg.CrossSellRecommender().fit(orders, items)
    with pytest.raises(ValueError, match="mode must be one of discovery, complete, not 'all'"):
        fitted.set_params(mode="all").recommend([["small"]])


def test_a_recommender_finds_better_versions() -> None:
    orders, items = cafe()
    carts = pa.table({"cart_id": ["x", "y"], "item_id": ["small", "large"]})
    found = mersalg.UpsellRecommender(currency="NOK").fit(orders, items).recommend(carts)
    assert found[["cart_id", "item_id", "replaces_item_id"]].to_numpy().tolist() == [
        ["x", "large", "small"]
    ]
    assert float(found["price_difference"].iloc[0]) == 10
    assert found["gains"].iloc[0] == (("size_ml", "250", "400"),)


def test_tiers_are_levels_of_price_inside_a_family() -> None:
    items = pd.DataFrame(
        {"item_id": list("abcdef"), "family": list("xxxxyy"), "price": [10, 11, 20, 40, 5, 9]}
    )
    tiers = mersalg.PriceTiers().fit(items)
    predicted = tiers.predict(items)
    assert predicted[:4].tolist() == [0, 1, 2, 3]
    assert predicted[4:].tolist() == [0, 1]
    others = pd.DataFrame({"family": ["x", "x", "z", None], "price": [1_000, 1, 3, 4]})
    assert tiers.predict(others).tolist() == [int(predicted[3]), 0, -1, -1]
    assert mersalg.PriceTiers().fit(others).predict(others).tolist() == [1, 0, 0, -1]


@pytest.mark.parametrize("price", [float("inf"), float("nan"), -1.0, 0.0, 1e-9, 1e300])
def test_what_is_no_price_has_no_tier_and_changes_none(price: float) -> None:
    items = pd.DataFrame({"family": ["x"] * 4, "price": [price, 10, 20, 40]})
    assert mersalg.PriceTiers().fit(items).predict(items).tolist() == [-1, 0, 1, 2]


def test_polars_frames_give_the_same() -> None:
    polars = pytest.importorskip("polars")
    frame, (orders, items) = drawn(), cafe()
    itemsets = shares(mersalg.fpgrowth(polars.from_pandas(frame), 0.1, use_colnames=True))
    assert itemsets == shares(mersalg.fpgrowth(frame, 0.1, use_colnames=True))
    lines, goods = polars.from_pandas(orders), polars.from_pandas(items)
    for given_as in (lines, lines.lazy()):
        pd.testing.assert_frame_equal(mersalg.mine(given_as), mersalg.mine(orders))
    carts = pd.DataFrame({"cart_id": ["x"], "item_id": ["small"]})
    for kind in (mersalg.CrossSellRecommender, mersalg.UpsellRecommender):
        found = kind().fit(lines, goods).recommend(polars.from_pandas(carts))
        pd.testing.assert_frame_equal(found, kind().fit(orders, items).recommend(carts))
    goods = goods.with_columns(price=goods["price"].cast(float))
    assert mersalg.PriceTiers().fit(goods).predict(goods).tolist() == [0, 1, 0, 0]


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, mersalg\n"
        "assert 'rates' in dir(mersalg)\n"
        "assert not {'pandas', 'numpy', 'sklearn'} & sys.modules.keys()\n"
        "sys.modules['mlxtend'] = sys.modules['sklearn'] = None\n"
        "try:\n    mersalg.mine\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "mersalg.mine needs sklearn" in done.stdout
    assert "pip install 'mersalg[train]'" in done.stdout
