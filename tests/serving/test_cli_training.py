"""The commands train, mine, evaluate and models: output, files and exit codes."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from mersalg.engine.errors import ConfigError, DataError, ModelCorrupt, ModelNotFound
from mersalg.engine.words import counted
from mersalg.serving.cli.evaluate import print_back_test
from mersalg.training.ranking.hits import Reliability
from tests.support.commands import attempt, run
from tests.support.small_shop import write_small_shop

BASKETS = "milk bread butter\nmilk bread\nbread butter\nmilk bread\neggs\nmilk eggs\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained cafe; its models are in `models`."""
    folder = tmp_path_factory.mktemp("cafe")
    shop_file = write_small_shop(folder)
    run("train", "--config", shop_file, "--models", folder / "models", "--json")
    return folder


@pytest.fixture
def own_shop(shop: Path, tmp_path: Path) -> Path:
    """A copy of the trained cafe that a test may change."""
    return Path(shutil.copytree(shop, tmp_path / "cafe"))


@pytest.fixture
def basket_file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.basket"
    path.write_text(BASKETS)
    return path


def as_json(*arguments: object) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json"))


# train


def test_train_tells_machines_everything(own_shop: Path) -> None:
    result = as_json("train", "--config", own_shop / "shop.toml", "--models", own_shop / "models")
    assert result["published"]
    assert result["counts"]["orders"] == 800
    assert {verdict["check"] for verdict in result["gate"]} >= {"hit_rate", "currency", "orders"}
    assert (
        as_json("models", "list", "--models", own_shop / "models")["current"] == result["version"]
    )


def test_train_tells_people_what_became_of_it(own_shop: Path) -> None:
    with (own_shop / "orders.csv").open("a") as file:
        file.write("o99999,c1,2026-02-01T10:00:00+00:00,coffee-small,0,35.00\n")
    text = run("train", "--config", own_shop / "shop.toml", "--models", own_shop / "models")
    for words in ("800 orders", "rules", "ladders", "HitRate@10", "popularity", "published"):
        assert words in text
    assert "1 left out: the quantity is zero (orders.csv row" in text


def test_train_ends_with_one_where_the_gate_says_no(own_shop: Path) -> None:
    write_small_shop(own_shop, n_orders=300)
    arguments = ("train", "--config", own_shop / "shop.toml", "--models", own_shop / "models")
    refused = attempt(*arguments)
    assert refused.exit_code == 1
    assert "refused" in refused.stderr
    assert "orders" in refused.stderr
    assert "not published" in refused.stdout
    again = attempt(*arguments, "--json")
    assert again.exit_code == 1
    assert json.loads(again.stdout)["refused"]
    assert attempt(*arguments, "--force").exit_code == 0


def test_train_takes_bad_shop_files_for_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        attempt("train", "--config", tmp_path / "none.toml")
    (tmp_path / "shop.toml").write_text("[shop]\n")
    with pytest.raises(ConfigError, match=r"shop\.name"):
        attempt("train", "--config", tmp_path / "shop.toml")


# models


def test_models_go_back_and_forth(own_shop: Path) -> None:
    models = ("--models", own_shop / "models")
    first = as_json("models", "list", *models)["current"]
    second = as_json("train", "--config", own_shop / "shop.toml", *models, "--no-publish")[
        "version"
    ]
    listed = as_json("models", "list", *models)
    assert [entry["version"] for entry in listed["versions"]] == sorted([first, second])
    assert listed["current"] == first
    assert as_json("models", "publish", second, *models) == {"current": second}
    assert as_json("models", "rollback", *models) == {"current": first}
    with pytest.raises(ModelNotFound):
        attempt("models", "rollback", *models)
    text = run("models", "list", *models)
    assert first in text
    assert second in text
    assert f"published {second}" in run("models", "publish", second, *models)


def test_models_show_names_the_rules(shop: Path) -> None:
    shown = as_json("models", "show", "--models", shop / "models")
    assert shown["published"]
    assert shown["verified"]
    assert {"antecedent": ["Tea"], "consequent": "Scone"}.items() <= {
        **next(rule for rule in shown["rules"] if rule["antecedent"] == ["Tea"])
    }.items()
    text = run("models", "show", shown["manifest"]["version"], "--models", shop / "models")
    for words in ("verified", "Tea", "Scone", "HitRate@10", "(published)"):
        assert words in text


def test_models_show_names_the_broken_file(own_shop: Path) -> None:
    models = own_shop / "models"
    version = as_json("models", "list", "--models", models)["current"]
    (models / version / "ladders.tier.npy").unlink()
    shown = attempt("models", "show", "--models", models, "--json")
    assert shown.exit_code == 2
    reported = json.loads(shown.stdout)
    assert not reported["verified"]
    assert "ladders.tier.npy" in reported["problem"]
    with pytest.raises(ModelCorrupt):
        attempt("models", "publish", version, "--models", models)


def test_models_of_an_empty_folder(tmp_path: Path) -> None:
    assert as_json("models", "list", "--models", tmp_path) == {"current": None, "versions": []}
    assert "no versions" in run("models", "list", "--models", tmp_path)
    for command in (("show",), ("rollback",), ("publish", "../x"), ("show", "../x")):
        with pytest.raises(ModelNotFound):
            attempt("models", *command, "--models", tmp_path)


# evaluate


def test_evaluate_compares_rankers_on_the_same_items(shop: Path) -> None:
    tested = as_json("evaluate", "--config", shop / "shop.toml", "--samples", 50)
    rates = tested["hit_rate_at_10"]
    assert set(rates) >= {"mersalg", "ease", "item_knn", "plain_rules", "popularity"}
    assert tested["served"]["reason"]
    assert all(rate["n"] == 50 for rate in rates.values())
    assert "plain rules" in run("evaluate", "--config", shop / "shop.toml", "--samples", 50)


def test_evaluate_prints_reliability_also_of_older_versions(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = as_json("evaluate", "--config", shop / "shop.toml", "--samples", 50)
    bought = np.arange(200) < 50
    scores = Reliability.of(np.full(200, 0.24), bought).to_json()
    print_back_test({**tested, "reliability": {"complete": scores}})
    printed = capsys.readouterr().out
    assert "0.240 predicted, 0.250 observed (200)" in " ".join(printed.split())
    names = {"predicted": "said", "observed": "came_true"}
    older = [{names.get(key, key): value for key, value in each.items()} for each in scores["bins"]]
    print_back_test({**tested, "reliability": {"complete": {**scores, "bins": older}}})
    assert capsys.readouterr().out == printed


# mine


def test_mine_writes_the_promised_columns(basket_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "rules.parquet"
    reported = as_json("mine", basket_file, "--min-count", 2, "--all-rules", "--out", out)
    table = parquet.read_table(out)
    assert [(field.name, field.type) for field in table.schema] == [
        ("antecedent", pa.list_(pa.field("element", pa.string()))),
        ("consequent", pa.string()),
        *((name, pa.int64()) for name in ("n_joint", "n_antecedent", "n_consequent", "n_orders")),
        *(
            (name, pa.float64())
            for name in (
                *("support", "confidence", "lift", "lift_lower", "leverage", "conviction"),
                *("p_value", "q_value"),
            )
        ),
    ]
    rules = {(tuple(rule["antecedent"]), rule["consequent"]): rule for rule in table.to_pylist()}
    assert set(rules) == {
        *((("milk",), "bread"), (("bread",), "milk"), (("butter",), "bread")),
        (("bread",), "butter"),
    }
    assert reported["rules"] == reported["rules_mined"] == 4
    rule = rules[("milk",), "bread"]
    assert (rule["n_joint"], rule["n_antecedent"], rule["n_consequent"]) == (3, 4, 4)
    assert rule["n_orders"] == 6
    assert rule["support"] == pytest.approx(0.5)
    assert rule["confidence"] == pytest.approx(0.75)
    assert rule["lift"] == pytest.approx(1.125)
    assert rule["leverage"] == pytest.approx(0.5 - 4 / 9)
    assert rule["conviction"] == pytest.approx((1 / 3) / 0.25)
    # Of 15 ways to place bread, milk is in 3 or 4 of its orders in 4 * 2 + 1 = 9.
    assert rule["p_value"] == pytest.approx(9 / 15)
    assert rules[("butter",), "bread"]["conviction"] == math.inf
    lower = table["lift_lower"].to_pylist()
    assert lower == sorted(lower, reverse=True)


def test_mine_writes_csv_too(basket_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "rules.csv"
    run("mine", basket_file, "--min-support", "1/3", "--all-rules", "--out", out)
    table = arrow_csv.read_csv(out)
    assert sorted(map(json.loads, table["antecedent"].to_pylist())) == [
        ["bread"],
        ["bread"],
        ["butter"],
        ["milk"],
    ]
    assert math.inf in table["conviction"].to_pylist()
    assert [path.name for path in tmp_path.glob(".rules*")] == []


def test_mine_holds_thresholds_exactly(basket_file: Path) -> None:
    def n_rules(*options: object) -> int:
        return as_json("mine", basket_file, "--all-rules", "--min-count", 1, *options)["rules"]

    everything = n_rules("--max-length", 2)
    assert n_rules("--max-length", 2, "--min-confidence", "0.75") == 3
    assert n_rules("--max-length", 2, "--min-confidence", "0.7500001") == 1
    assert n_rules("--max-length", 2, "--min-lift", "1.125") < everything
    assert n_rules("--max-length", 9) > everything


def test_mine_keeps_only_what_is_more_than_chance(shop: Path, tmp_path: Path) -> None:
    orders = shop / "orders.csv"
    found = as_json("mine", orders, "--out", tmp_path / "rules.parquet")
    assert 0 < found["rules"] < found["rules_mined"]
    rules = parquet.read_table(tmp_path / "rules.parquet").to_pylist()
    assert all(rule["lift_lower"] > 1 and rule["q_value"] < 0.05 for rule in rules)
    loose = as_json("mine", orders, "--max-q", "0.5")
    assert loose["rules"] >= found["rules"]


def test_mine_leaves_out_large_baskets_only_where_asked(basket_file: Path) -> None:
    options = ("mine", basket_file, "--min-count", 1, "--all-rules")
    whole = as_json(*options)
    assert (whole["max_basket_size"], whole["orders_oversized"]) == (None, 0)
    sizes = [len(set(line.split())) for line in basket_file.read_text().splitlines()]
    small = as_json(*options, "--max-basket-size", 2)
    assert small["orders_oversized"] == sum(size > 2 for size in sizes) > 0
    assert small["orders"] + small["orders_oversized"] == whole["orders"]
    assert small["rules"] < whole["rules"]
    text = run(*options, "--max-basket-size", 2)
    assert f"left out: {counted(small['orders_oversized'], 'order')} of more than 2 items" in text
    assert "left out" not in run(*options)
    none = as_json(*options, "--max-basket-size", 1)
    assert none["rules"] == 0


@pytest.mark.parametrize("engine", ["local", "mlxtend"])
def test_mine_names_the_engine_and_all_agree(shop: Path, tmp_path: Path, engine: str) -> None:
    out = {name: tmp_path / f"{name}.parquet" for name in ("default", engine)}
    reported = as_json("mine", shop / "orders.csv", "--out", out["default"])
    assert reported["engine"] == "local"
    named = as_json("mine", shop / "orders.csv", "--engine", engine, "--out", out[engine])
    assert named["engine"] == engine
    assert parquet.read_table(out["default"]).equals(parquet.read_table(out[engine]))


def test_mine_shows_people_the_strongest(basket_file: Path) -> None:
    text = run("mine", basket_file, "--min-count", 2, "--all-rules")
    for words in ("6 orders", "4 rules", "milk", "bread"):
        assert words in text
    assert "0 rules" in run("mine", basket_file, "--min-count", 6)


def test_mine_prints_ids_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "odd.basket"
    path.write_text("[red] [/b]\n" * 5)
    assert "[red]" in run("mine", path, "--min-count", 2, "--all-rules")


@pytest.mark.parametrize(
    "options",
    [
        ("--min-count", 2, "--min-support", "0.1"),
        ("--min-support", "2"),
        ("--min-confidence", "high"),
        ("--min-lift", "-1"),
        ("--out", "rules.xlsx"),
        ("--out", "/nowhere/at/all/rules.csv"),
    ],
    ids=str,
)
def test_mine_refuses_impossible_options(basket_file: Path, options: tuple[object, ...]) -> None:
    with pytest.raises(ConfigError):
        attempt("mine", basket_file, *options)


@pytest.mark.parametrize(
    "options", [("--max-length", 1), ("--engine", "abacus"), ("--min-count", 0)], ids=str
)
def test_mine_refuses_what_is_out_of_range(basket_file: Path, options: tuple[object, ...]) -> None:
    assert attempt("mine", basket_file, *options).exit_code == 2


def test_mine_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.basket"):
        attempt("mine", tmp_path / "none.basket")
