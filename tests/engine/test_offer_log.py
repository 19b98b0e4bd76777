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

from mersalg.engine.adapters.offer_log import Translation, read_rows, translate
from mersalg.engine.config import load_section
from mersalg.engine.errors import ConfigError, DataError
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import KINDS, Kind
from mersalg.engine.locales import LANGUAGES, Language
from mersalg.engine.source_sections import LogMap
from mersalg.engine.tracking.report import ReportQuery, report_of
from mersalg.serving.presentation.report import ReportText
from tests.support.repetitions import EFFORT
from tests.support.shared_data import shared_data

_COLUMNS = {"event": "event", "customer": "who", "offer": "what", "time": "when", "amount": "worth"}
_MAP: dict[str, dict[str, Any]] = {
    "columns": _COLUMNS,
    "events": {"received": "sent", "viewed": "seen", "completed": "done", "purchased": "paid"},
    "time": {"unit": "hours"},
    "offers": {"days": 2, "currency": "USD"},
}


def changed(base: dict[str, dict[str, Any]], **sections: dict[str, Any]) -> LogMap:
    """Return a map with some settings changed."""
    return LogMap.model_validate(
        base | {name: base.get(name, {}) | section for name, section in sections.items()}
    )


MAP = changed(_MAP)


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


def test_windows_end_and_other_events_are_left_out() -> None:
    done = translate([row("sent", 0), row("seen", 49), row("done", 49), row("gone", 1)], MAP)
    counts = done.counts
    assert (counts.unmatched_views, counts.unmatched_completions) == (1, 1)
    assert (counts.other, len(done.facts)) == (1, 1)
    assert done.words == {("gone", None): 1}


def test_equal_rows_are_different_offers_unless_an_id_says_that_they_are_copies() -> None:
    """Two of one offer, both taken at the same time: nothing says that these are copies."""
    rows = [row("sent", 0), row("seen", 1), row("done", 2)] * 2
    done = translate(rows, MAP)
    assert (done.counts.repeated, done.counts.duplicates) == (3, 0)
    offer = report(done)["total"]["cross_sell"]["offer"]
    assert (offer["numerator"], offer["denominator"]) == (2, 2)
    assert translate(rows, MAP).facts == done.facts, "imported again, nothing is added"

    named = [{**each, "id": str(place % 3)} for place, each in enumerate(rows)]
    done = translate([*named, {**named[0], "worth": "9"}], changed(_MAP, columns={"id": "id"}))
    assert (done.counts.repeated, done.counts.duplicates, done.counts.rejected) == (0, 3, 1)
    assert "is that of row 1" in done.refused[0].message
    offer = report(done)["total"]["cross_sell"]["offer"]
    assert (offer["numerator"], offer["denominator"]) == (1, 1)


def test_rows_without_a_customer_or_a_time_count() -> None:
    """Each is a unit of its own, dated in the order of the file."""
    bare = [
        {"event": event, "what": what, "worth": ""}
        for event, what in (("sent", "deal"), ("sent", "deal"), ("done", "deal"), ("paid", ""))
    ]
    done = translate(
        bare,
        changed(
            _MAP,
            columns={"customer": None, "time": None},
            time={"start": "1970-01-01T00:00:00.000010"},
        ),
    )
    counts = done.counts
    assert (counts.without_customer, counts.without_time, counts.repeated) == (4, 4, 1)
    assert (counts.received, counts.unmatched_completions, counts.purchased) == (2, 1, 1)
    assert [parse_fact(fact).occurred_at for fact in done.facts] == [10, 11, 13]
    made = report_of(map(parse_fact, done.facts), ReportQuery(impressions="served"))
    entry: Any = made["total"]["cross_sell"]  # type: ignore[index]
    assert entry["checkout"]["denominator"] == 2
    assert entry["penetration"]["denominator"] == 1
    some = [row("sent", 3), {**row("sent", 0), "when": ""}, row("sent", 3, who="")]
    at = [parse_fact(fact).occurred_at for fact in translate(some, MAP).facts]
    assert at == [3 * 3_600_000_000, 3 * 3_600_000_000, 3 * 3_600_000_000 + 1]


_OUTCOMES: dict[str, dict[str, Any]] = {
    "columns": _COLUMNS | {"event": None, "outcome": "taken"},
    "time": {"unit": "hours"},
    "offers": {"currency": "USD"},
}
OUTCOMES = changed(_OUTCOMES)


def answer(taken: str, when: int, **fields: str) -> Any:
    given = row("", when, **fields)
    return {"taken": taken, **{name: text for name, text in given.items() if name != "event"}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_of_outcomes_has_a_row_for_each_offer(kind: Kind) -> None:
    rows = [
        answer("Yes", 0, worth="12.50"),
        answer("no", 1),
        answer("no", 1),
        answer("1", 2, who="bob", worth="3"),
        answer("declined", 3, who="eve"),
    ]
    done = translate(rows, changed(_OUTCOMES, offers={"kind": kind}))
    counts = done.counts
    assert (counts.accepted, counts.declined, counts.repeated) == (2, 3, 1)
    assert done.words[("Yes", "accepted")] == done.words[("declined", "declined")] == 1
    measured = report(done)["total"][kind]
    for name in ("offer", "checkout"):
        assert (measured[name]["numerator"], measured[name]["denominator"]) == (2, 5)
    # What a better item replaced, and so what the bill rose by, such a log does not say.
    assert measured["revenue"] == (None if kind == "upsell" else "15.50")
    assert translate(rows, changed(_OUTCOMES, offers={"kind": kind})).facts == done.facts


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_log_that_knows_only_who_accepted_has_no_rate_of_buyers(language: Language) -> None:
    rows = [answer("yes", 0), answer("no", 1, who="bob"), answer("yes", 30, who="eve")]
    facts = translate(rows, OUTCOMES).facts
    made: Any = report_of(map(parse_fact, facts), ReportQuery(by=("day",)))
    for measured in (made["total"]["cross_sell"], made["groups"][0]["cross_sell"]):
        for name in ("customer", "order", "penetration", "net_customer"):
            entry = measured[name]
            assert (entry["value"], entry["status"]) == (None, "not_comparable")
            assert "only who accepted" in entry["reason"]
    checkout = made["total"]["cross_sell"]["checkout"]
    assert (checkout["numerator"], checkout["denominator"]) == (2, 3)
    view = ReportText(made, None, language)
    headline, customer = view.kinds[0].rates[:2]
    assert (headline.term, customer.term) == tuple(
        view.glossary.terms[name] for name in ("checkout", "customer")
    )
    assert headline.value == view.rows[0][1][0][0].split(" [")[0]
    assert customer.value == view.glossary.phrase("only_accepted")
    assert view.groups[0][2].startswith("50")
    assert any(headline.term.name in note for note in view.notes)


def test_a_log_with_purchases_of_others_has_a_rate_of_buyers() -> None:
    """Who bought without an offer, or beside the log, is a buyer who did not accept."""
    rows = [row("sent", 0), row("seen", 1), row("done", 2), row("sent", 0, who="bob"),
            row("seen", 1, who="bob"), row("paid", 2, what="", who="bob")]  # fmt: skip
    with_others, alone = translate(rows, MAP).facts, translate(rows[:-1], MAP).facts
    for facts, status in ((with_others, "ok"), (alone, "not_comparable")):
        made: Any = report_of(map(parse_fact, facts), ReportQuery())
        customer = made["total"]["cross_sell"]["customer"]
        assert customer["status"] == status
        assert (customer["numerator"], customer["denominator"]) == (1, 1 + (status == "ok"))


def test_an_unknown_outcome_stops_with_its_row() -> None:
    with pytest.raises(DataError, match=r"'perhaps' is neither .* \(row 2, column taken\)"):
        translate([answer("yes", 0), answer("perhaps", 1)], OUTCOMES)
    with pytest.raises(DataError, match=r"'' is neither"):
        translate([answer("", 0)], OUTCOMES)
    log_map = changed(_OUTCOMES, outcomes={"declined": ["perhaps", ""], "accepted": "oui"})
    done = translate([answer(word, 0) for word in ("perhaps", "", "oui")], log_map)
    assert (done.counts.accepted, done.counts.declined) == (1, 2)
    with pytest.raises(DataError, match="'yes' is neither"):
        translate([answer("yes", 0)], log_map)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"who": "x" * 201}, "who"), ({"what": "x" * 201}, "what"), ({"when": "soon"}, "when"),
     ({"worth": "-3"}, "worth"), ({"when": "1e30"}, "when")],
)  # fmt: skip
def test_rows_that_cannot_be_read_are_reported(change: dict[str, str], message: str) -> None:
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
def test_the_order_of_rows_changes_nothing(rows: list[Any], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows))
    assert translate(shuffled, MAP).facts == translate(rows, MAP).facts


@given(rows=ROWS)
def test_no_completion_is_credited_twice_and_none_is_lost(rows: list[Any]) -> None:
    done = translate(rows, MAP)
    counts = done.counts
    ids = Counter(fact["event_id"] for fact in done.facts)
    assert not ids or max(ids.values()) == 1
    purchases = [fact for fact in done.facts if fact["type"] == "purchase"]
    reported = counts.completed - counts.unmatched_completions + counts.purchased
    assert len(purchases) == reported
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
    read = load_section(path, LogMap)
    assert read.steps == {"a": "received", "b": "received", "d": "completed"}
    assert read.instant("1.5") - read.instant("0") == 36 * 3_600_000_000
    assert read.open_for("x", None) == 36 * 3_600_000_000
    assert read.open_for("y", None) == 72 * 3_600_000_000
    path.write_text('[columns]\noutcome = "y"\noffer = "o"\n[outcomes]\naccepted = "ok"\n')
    read = load_section(path, LogMap)
    assert (read.named_columns, read.outcome_of("ok"), read.outcome_of("yes")) == (
        ["y", "o"], "accepted", None
    )  # fmt: skip
    for broken, message in [
        (good.replace('offer = "o"', ""), "columns.offer: Field required"),
        (good.replace('event = "e"', ""), "either event .* or outcome"),
        (good.replace('event = "e"', 'event = "e"\noutcome = "x"'), "either event .* or outcome"),
        (good + '[outcomes]\ndeclined = "n"', "outcomes.accepted is missing"),
        (good.replace("unit", "units"), "time.units is not a setting; did you mean unit"),
        (good.replace('"days"', '"weeks"'), "time.unit: Input should be 'milliseconds'"),
        (good.replace('"d"', '"a"'), "both received and completed"),
        (good.replace('received = ["a", "b"]', ""), "events.received is missing"),
        (good.replace("days = 3", "days = -3"), "offers.days"),
        (good + "[[", "not valid TOML"),
    ]:
        path.write_text(broken)
        with pytest.raises(ConfigError, match=message):
            load_section(path, LogMap)


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
    steps = {
        "received": "offer-received",
        "viewed": "offer-viewed",
        "completed": "offer-completed",
        "purchased": "transaction",
    }
    columns = {"event": "event", "customer": "customer_id", "offer": "offer_id", "time": "time"}
    log_map = LogMap.model_validate(
        {
            "columns": columns,
            "events": steps,
            "time": {"unit": "hours"},
            "offers": {"durations": days},
        }
    )
    texts = events.astype(object).where(events.notna(), "").astype(str)
    done = translate(texts.to_dict("records"), log_map)
    counts = done.counts
    assert (counts.rows, counts.rejected, counts.duplicates) == (len(events), 0, 0)
    assert counts.repeated == events.duplicated().sum() > 0
    if is_whole:
        assert (counts.rows, counts.repeated) == (306_534, 397)

    offered = events[events["event"] != "transaction"]
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
    assert not is_whole or counts.ambiguous == 1_776
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
