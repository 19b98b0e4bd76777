"""Offer logs whose views and completions do not say which sending they mean."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.adapters.log_map import LogMap, load_map
from engine.adapters.offer_log import Translation, read_rows, translate
from engine.errors import ConfigError, DataError
from engine.fact_json import parse_fact
from engine.tracking.report import ReportQuery, report_of
from tests.support.repetitions import EFFORT
from tests.support.shared_data import shared_data

STEPS: Any = {"sent": "received", "seen": "viewed", "done": "completed", "paid": "purchased"}
MAP = LogMap(
    "event", "who", "what", "when", STEPS, amount="worth", unit=3_600_000_000, days=Decimal(2),
    currency="USD",
)  # fmt: skip


def row(event: str, when: int, what: str = "deal", who: str = "ann", worth: str = "") -> Any:
    return {"event": event, "who": who, "what": what, "when": str(when), "worth": worth}


def report(done: Translation) -> Any:
    return report_of(map(parse_fact, done.facts), ReportQuery())


def test_a_viewed_completion_is_credited_and_an_unviewed_one_is_not() -> None:
    done = translate(
        [
            row("sent", 0),
            row("seen", 5),
            row("done", 48, worth="12.50"),
            row("sent", 0, who="bob"),
            row("done", 7, who="bob"),
            row("seen", 9, who="bob"),
            row("paid", 50, what="", who="eve", worth="3"),
        ],
        MAP,
    )
    counts = done.counts
    assert (counts.completed, counts.unviewed, counts.ambiguous) == (2, 1, 0)
    measured = report(done)["total"]["cross_sell"]
    assert (measured["offer"]["numerator"], measured["offer"]["denominator"]) == (1, 2)
    assert measured["revenue"] == "12.50"
    assert measured["penetration"]["denominator"] == 3


def test_an_ambiguous_completion_is_credited_once_to_the_last_one_viewed() -> None:
    first, second = row("sent", 0), row("sent", 10)
    done = translate([first, row("seen", 1), second, row("done", 20)], MAP)
    assert done.counts.ambiguous == 1
    (purchase,) = [fact for fact in done.facts if fact["type"] == "purchase"]
    viewed = done.facts[0]["event_id"]
    assert purchase["checkout_id"] == viewed, "the second was never looked at"
    done = translate([first, row("seen", 1), second, row("seen", 11), row("done", 20)], MAP)
    (purchase,) = [fact for fact in done.facts if fact["type"] == "purchase"]
    assert purchase["checkout_id"] != viewed
    assert report(done)["total"]["cross_sell"]["offer"]["numerator"] == 1


def test_windows_end_and_copies_are_dropped() -> None:
    done = translate(
        [row("sent", 0), row("seen", 49), row("done", 49), row("sent", 0), row("gone", 1)], MAP
    )
    counts = done.counts
    assert (counts.unmatched_views, counts.unmatched_completions) == (1, 1)
    assert (counts.duplicates, counts.other, len(done.facts)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"who": ""}, "who"), ({"what": "x" * 201}, "what"), ({"when": "soon"}, "when"),
     ({"worth": "-3"}, "worth"), ({"when": "1e30"}, "when")],
)  # fmt: skip
def test_rows_that_cannot_be_read_are_told(change: dict[str, str], message: str) -> None:
    done = translate([{**row("sent", 0), **change}, row("sent", 1)], MAP)
    assert (done.counts.rejected, done.counts.received) == (1, 1)
    assert done.refused[0].number == 1
    assert message in done.refused[0].message


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from(["sent", "sent", "seen", "done", "paid"]),
        st.integers(0, 60),
        st.sampled_from(["deal", "bogo"]),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["", "1", "2"]),
    ),
    max_size=14,
)


@given(rows=ROWS, data=st.data())
def test_order_and_copies_of_rows_change_nothing(rows: list[Any], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(rows), max_size=4)) if rows else []
    shuffled = data.draw(st.permutations([*rows, *again]))
    assert translate(shuffled, MAP).facts == translate(rows, MAP).facts


@given(rows=ROWS)
def test_no_completion_is_credited_twice_and_none_is_lost(rows: list[Any]) -> None:
    done = translate(rows, MAP)
    counts = done.counts
    ids = Counter(fact["event_id"] for fact in done.facts)
    assert not ids or max(ids.values()) == 1
    purchases = [fact for fact in done.facts if fact["type"] == "purchase"]
    told = counts.completed - counts.unmatched_completions + counts.purchased
    assert len(purchases) == told
    named: list[Any] = [item for fact in purchases for item in fact["items"]]  # type: ignore[attr-defined]
    credited = sum("offer_id" in item for item in named)
    assert credited == counts.completed - counts.unmatched_completions - counts.unviewed
    measured = report(done)["total"]["cross_sell"]
    assert measured["offer"]["numerator"] <= credited


def test_a_map_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    good = (
        '[columns]\nevent = "e"\ncustomer = "c"\noffer = "o"\ntime = "t"\n'
        '[events]\nreceived = ["a", "b"]\ncompleted = "d"\n'
        '[time]\nunit = "days"\nstart = 2026-01-01\n'
        "[offers]\ndays = 3\ndurations = { x = 1.5 }\n"
    )
    path.write_text(good)
    read = load_map(path)
    assert read.steps == {"a": "received", "b": "received", "d": "completed"}
    assert read.instant("1.5") - read.instant("0") == 36 * 3_600_000_000
    assert read.open_for("x", None) == 36 * 3_600_000_000
    assert read.open_for("y", None) == 72 * 3_600_000_000
    for broken, message in [
        (good.replace('customer = "c"', ""), "columns.customer is missing"),
        (good.replace("unit", "units"), "time.units does not exist"),
        (good.replace('"days"', '"weeks"'), "time.unit: 'weeks'"),
        (good.replace('"d"', '"a"'), "both received and completed"),
        (good.replace('received = ["a", "b"]', ""), "events.received is missing"),
        (good.replace("days = 3", "days = -3"), "offers.days"),
        (good + "[[", "not valid TOML"),
    ]:
        path.write_text(broken)
        with pytest.raises(ConfigError, match=message):
            load_map(path)


def test_a_log_without_the_columns_of_the_map_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("event,who\nsent,ann\n")
    with pytest.raises(DataError, match="no column what, when, worth"):
        list(read_rows(path, MAP))
    lines = tmp_path / "log.jsonl"
    lines.write_text(json.dumps(row("sent", 3)) + "\n\n" + json.dumps({"event": None}) + "\n")
    assert list(read_rows(lines, MAP)) == [row("sent", 3), {"event": ""}]


@pytest.mark.realdata
@pytest.mark.thorough
def test_starbucks_offers_are_understood() -> None:
    """Against a count of windows by brute force in pandas, of a quarter of the customers."""
    folder = shared_data("starbucks_offers")
    events = pd.read_parquet(folder / "events.parquet")
    is_whole = EFFORT == "thorough"
    if not is_whole:
        customers = events["customer_id"].drop_duplicates()
        events = events[events["customer_id"].isin(customers[::4])]
    with zipfile.ZipFile(folder / "data.csv.zip") as archive, archive.open("data.csv") as file:
        described = pd.read_csv(file, usecols=["offer_id", "duration"])
    days = {str(a): Decimal(str(b)) for a, b in described.dropna().drop_duplicates().to_numpy()}
    steps: Any = {
        "offer-received": "received",
        "offer-viewed": "viewed",
        "offer-completed": "completed",
        "transaction": "purchased",
    }
    log_map = LogMap(
        "event", "customer_id", "offer_id", "time", steps, unit=3_600_000_000, durations=days
    )
    texts = events.astype(object).where(events.notna(), "").astype(str)
    done = translate(texts.to_dict("records"), log_map)
    counts = done.counts
    plain = events.drop_duplicates()
    assert (counts.rows, counts.rejected) == (len(events), 0)
    assert counts.duplicates == len(events) - len(plain) > 0
    if is_whole:
        assert (counts.rows, counts.duplicates) == (306_534, 397)

    offered = plain[plain["event"] != "transaction"]
    of = {
        name: offered[offered["event"] == f"offer-{name}"][["customer_id", "offer_id", "time"]]
        for name in ("received", "viewed", "completed")
    }
    completed = of["completed"].reset_index(drop=True).reset_index(names="completion")
    windows = completed.merge(of["received"], on=["customer_id", "offer_id"], suffixes=("", "_in"))
    hours = windows["offer_id"].astype(str).map(days).astype(float) * 24
    age = windows["time"] - windows["time_in"]
    opened = windows[(age >= 0) & (age <= hours)]
    fits = opened.groupby("completion").size()
    assert counts.ambiguous == (fits > 1).sum() > 0
    assert not is_whole or counts.ambiguous == 1_379
    assert counts.completed == len(completed) == len(fits)
    # Not viewed since the first sending that was open, up to the completion.
    first = opened.groupby("completion")["time_in"].min().rename("first")
    views = completed.join(first, on="completion").merge(
        of["viewed"], on=["customer_id", "offer_id"], suffixes=("", "_seen")
    )
    seen = views[(views["time_seen"] >= views["first"]) & (views["time_seen"] <= views["time"])]
    unviewed = len(completed) - seen["completion"].nunique()
    assert counts.unviewed == pytest.approx(unviewed, rel=0.01)
    assert 0.27 < counts.unviewed / counts.completed < 0.32

    measured = report(done)["total"]["cross_sell"]
    assert measured["offer"]["numerator"] <= counts.completed - counts.unviewed
    assert measured["incremental"]["status"] == "no_data"
