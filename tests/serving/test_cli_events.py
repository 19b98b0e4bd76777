"""`mersalg events` and `mersalg migrate` as a shop runs them, on both databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from mersalg.engine.errors import ConfigError, DataError
from tests.support.commands import attempt, run
from tests.support.models import tiny_model
from tests.support.servers import publish_model

DECISION: dict[str, Any] = {
    "type": "decision",
    "event_id": "e1",
    "occurred_at": "2026-03-01T10:00:00+01:00",
    "decision_id": "d1",
    "checkout_id": "c1",
    "session_id": "s1",
    "customer_id": "u1",
    "arm": "treatment",
    "model_version": "v1",
    "placement": "checkout",
    "currency": "NOK",
    "lines": [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}],
    "offers": [
        {
            "offer_id": "o1",
            "kind": "cross_sell",
            "item_id": "case-1",
            "position": 1,
            "unit_price": "199.00",
            "evidence": {
                "antecedent_item_ids": ["phone-64"],
                "n_joint": 412,
                "n_antecedent": 1310,
                "confidence": 0.3145,
                "lift": 6.2,
                "lift_lower": 5.6,
            },
        },
        {
            "offer_id": "o2",
            "kind": "upsell",
            "item_id": "phone-256",
            "position": 1,
            "unit_price": "6990.00",
            "replaces": {"item_id": "phone-64", "quantity": 1},
        },
    ],
}
# `promotion_id` is what Google Analytics 4 calls an offer.
VIEWS: list[dict[str, Any]] = [
    {
        "type": "view_promotion",
        "event_id": f"v-{offer_id}",
        "occurred_at": "2026-03-01T10:00:05+01:00",
        "promotion_id": offer_id,
    }
    for offer_id in ("o1", "o2")
]
PURCHASE: dict[str, Any] = {
    "type": "purchase",
    "event_id": "p1",
    "occurred_at": "2026-03-01T10:05:00+01:00",
    "checkout_id": "c1",
    "transaction_id": 1001,
    "currency": "NOK",
    "items": [
        {"item_id": "phone-256", "quantity": 1, "price": 6990.0},
        {"item_id": "case-1", "quantity": 2, "price": "199.00", "discount": 20},
    ],
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'facts.db'}"
    return cast(str, request.getfixturevalue("fresh_postgres_url"))


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def summary(output: str) -> dict[str, Any]:
    return json.loads(output)


def test_a_history_goes_in_and_its_rates_come_out(database: str, tmp_path: Path) -> None:
    file = write(tmp_path / "facts.jsonl", DECISION, *VIEWS, PURCHASE, PURCHASE, "")
    said = summary(run("events", "import", file, "--database", database, "--json"))
    assert (said["recorded"], said["duplicates"], said["rejected"]) == (4, 1, 0)
    assert not Path(f"{file}.rejected.jsonl").exists()
    report = json.loads(run("report", "--database", database, "--json"))
    cross_sell, upsell = report["total"]["cross_sell"], report["total"]["upsell"]
    assert (cross_sell["offer"]["numerator"], cross_sell["revenue"]) == (1, "378.00")
    assert (upsell["offer"]["numerator"], upsell["revenue"]) == (1, "1000.00")


def test_importing_again_records_nothing(database: str, tmp_path: Path) -> None:
    file = write(tmp_path / "facts.jsonl", DECISION, *VIEWS, PURCHASE)
    run("events", "import", file, "--database", database)
    said = summary(run("events", "import", file, "--database", database, "--json"))
    assert (said["recorded"], said["duplicates"]) == (0, 4)


def test_an_export_gives_the_same_report_elsewhere(database: str, tmp_path: Path) -> None:
    file = write(tmp_path / "facts.jsonl", DECISION, *VIEWS, PURCHASE)
    run("events", "import", file, "--database", database)
    copy, other = tmp_path / "copy.jsonl", f"sqlite:///{tmp_path / 'other.db'}"
    run("events", "export", "--database", database, "--out", copy)
    assert run("events", "export", "--database", database) == copy.read_text(encoding="utf-8")
    assert "u1" not in copy.read_text(encoding="utf-8")
    run("events", "import", copy, "--database", other)
    options = ("--by", "item,rule", "--json")
    here, there = (run("report", "--database", url, *options) for url in (database, other))
    assert here == there
    assert {"rule": "phone-64 -> case-1", "item": "case-1"} in [
        row["key"] for row in json.loads(here)["groups"]
    ]


def test_lines_that_cannot_be_taken_are_kept_with_the_reason(database: str, tmp_path: Path) -> None:
    changed = {**PURCHASE, "currency": "EUR"}
    nameless = {**PURCHASE, "event_id": "p2", "items": [{"quantity": 1}]}
    file = write(tmp_path / "facts.jsonl", "{", PURCHASE, changed, nameless, '{"type": NaN}')
    result = attempt("events", "import", file, "--database", database, "--json")
    assert result.exit_code == 2
    said = summary(result.stdout)
    assert (said["recorded"], said["duplicates"], said["rejected"]) == (1, 0, 4)
    rejects = Path(f"{file}.rejected.jsonl").read_text(encoding="utf-8").splitlines()
    reasons = {
        entry["line"]: (entry["code"], entry["message"]) for entry in map(json.loads, rejects)
    }
    assert sorted(reasons) == [1, 3, 4, 5]
    assert reasons[3][0] == "conflict"
    assert "items[0].item_id" in reasons[4][1]
    # Mended, the file leaves no accusation behind.
    write(file, PURCHASE)
    run("events", "import", file, "--database", database)
    assert not Path(f"{file}.rejected.jsonl").exists()


def test_a_missing_file_is_named(database: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.jsonl"):
        attempt("events", "import", tmp_path / "nothing.jsonl", "--database", database)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no database"):
        attempt("events", "export", "--database", f"sqlite:///{tmp_path / 'none.db'}")
    assert list(tmp_path.iterdir()) == []


def test_migrate_may_run_twice(database: str) -> None:
    first = summary(run("migrate", "--database", database, "--json"))
    assert summary(run("migrate", "--database", database, "--json")) == first


def test_items_of_ga4_have_the_ids_of_their_names(database: str, tmp_path: Path) -> None:
    publish_model(tmp_path / "models", tiny_model())
    order = {
        "timestamp_micros": 1_772_355_900_000_000,
        "client_id": "s1",
        "events": [
            {
                "name": "purchase",
                "params": {
                    "transaction_id": "t1",
                    "currency": "NOK",
                    "items": [
                        {"item_name": "Phone 64 GB"},
                        {"item_id": "case-1"},
                        {"item_name": "?"},
                    ],
                },
            }
        ],
    }
    payloads = tmp_path / "ga4.jsonl"
    payloads.write_text(json.dumps(order))
    options = ("--database", database, "--from", "ga4", "--models", tmp_path / "models")
    made = json.loads(run("events", "import", payloads, *options, "--json"))
    assert (made["recorded"], made["unknown_items"]) == (1, 1)
    written = json.loads(run("events", "export", "--database", database))
    assert [line["item_id"] for line in written["items"]] == ["phone-64", "case-1", "?"]
    assert "1 line of items that the catalogue lacks" in run("events", "import", payloads, *options)


def test_customers_that_are_words_for_none_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    guests = [{**DECISION, "customer_id": "Guest"}, {**PURCHASE, "customer_id": 0}]
    file.write_text("\n".join(map(json.dumps, [*guests, *VIEWS])) + "\n")
    command = ("events", "import", file, "--database", tmp_path / "facts.db")
    made = json.loads(run(*command, "--json"))
    assert (made["recorded"], made["rejected"], made["of_nobody"]) == (4, 0, 2)
    said = attempt(*command).stderr
    assert "ignored the customer_id of 2 facts: a word for no customer" in said
    written = run("events", "export", "--database", tmp_path / "facts.db").splitlines()
    assert len(written) == 4
    assert not any("customer_id" in json.loads(line) for line in written)


def test_fields_that_are_not_known_are_named(tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    odd = {**PURCHASE, "coupon": "X", "items": [{**PURCHASE["items"][0], "item_name": "Phone"}]}
    file.write_text("\n".join(map(json.dumps, [DECISION, odd, *VIEWS])) + "\n")
    command = ("events", "import", file, "--database", tmp_path / "facts.db")
    made = json.loads(run(*command, "--json"))
    assert (made["recorded"], made["rejected"]) == (4, 0)
    assert made["unknown_fields"] == ["coupon", "items.item_name"]
    result = attempt(*command)
    assert "fields that are not known were ignored: coupon, items.item_name" in result.stderr
