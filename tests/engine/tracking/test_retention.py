"""Old months go and their counts stay, in both databases."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import create_engine, inspect, text

from mersalg.engine import clock
from mersalg.engine.errors import ConfigError
from mersalg.engine.facts import (
    KINDS,
    CartLine,
    Decision,
    Event,
    Fact,
    Offer,
    PurchaseItem,
    Replaces,
)
from mersalg.engine.progress import SilentProgress
from mersalg.engine.storage.connection import parse_url
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import Store, open_store
from mersalg.engine.tracking.report import ReportQuery, build_report
from mersalg.engine.tracking.rollups.stored import drop_before, first_kept, rebuild, would_drop

SECRET = b"a secret of the tests, long enough"


@pytest.fixture
def store(fresh_database: str) -> Iterator[Store]:
    store = open_store(fresh_database, secret=SECRET)
    store.migrate()
    store.reports.save_settings({"timezone": "Europe/Oslo", "currency": "NOK"})
    yield store
    store.close()


def at(moment: str) -> int:
    return clock.to_micros(datetime.fromisoformat(f"{moment}+00:00"))


def visit(name: str, moment: str, customer: str, *, bought: bool, checkout: str = "") -> list[Fact]:
    when, checkout = at(moment), checkout or f"k{name}"
    decision = Decision(
        event_id=f"d{name}",
        decision_id=f"d{name}",
        occurred_at=when,
        checkout_id=checkout,
        session_id=None,
        customer_id=customer,
        arm="treatment" if customer != "carl" else "control",
        model_version="m",
        placement="checkout",
        currency="NOK",
        lines=(),
        offers=(Offer(f"o{name}", "cross_sell", "mug", 1, 4_900),),
        control_share=0.1,
    )
    view = Event(f"v{name}", "view_promotion", when + 1, offer_id=f"o{name}")
    items = (PurchaseItem("mug", 1, 4_900),) if bought else (PurchaseItem("cup", 1, 900),)
    purchase = Event(
        f"p{name}",
        "purchase",
        when + 60_000_000,
        checkout_id=checkout,
        customer_id=customer,
        transaction_id=f"t{name}",
        currency="NOK",
        items=items,
    )
    return [decision, view, purchase]


FACTS = [
    *visit("1", "2026-01-05T10:00", "ann", bought=True),
    *visit("2", "2026-01-31T22:30", "bob", bought=False, checkout="late"),
    # The same checkout again, after midnight in Oslo, still in January.
    *visit("3", "2026-01-31T22:58", "bob", bought=False, checkout="late"),
    *visit("4", "2026-01-30T22:30", "eve", bought=True, checkout="night"),
    *visit("5", "2026-01-30T23:30", "eve", bought=True, checkout="night"),
    # 23:30 in UTC is the next day, and month, in Oslo.
    *visit("6", "2026-01-31T23:30", "ann", bought=True),
    *visit("7", "2026-02-10T10:00", "carl", bought=True),
    *visit("8", "2026-02-11T10:00", "ann", bought=False),
    Event("r1", "refund", at("2026-02-12T10:00"), transaction_id="t1"),
]
SINCE = date(2026, 2, 1)


def report(store: Store, *by: str, since: date | None = None) -> Any:
    return build_report(store, ReportQuery(by=by, since=since))


def test_reports_stay_and_facts_go(store: Store) -> None:
    assert not store.facts.append(FACTS).rejected
    before = [json.dumps(report(store, *by)) for by in ((), ("week",), ("month",))]
    old = [fact for fact in FACTS if fact.occurred_at < at("2026-01-31T23:00")]
    assert would_drop(store, SINCE) == len(old)
    done = drop_before(store, SINCE, SilentProgress())
    assert (done.dropped, done.days) == (len(old), 3)
    left = {fact.event_id for fact in store.facts.read(FactScope())}
    assert left == {fact.event_id for fact in FACTS} - {fact.event_id for fact in old}
    # The checkout of two days counts once in each period, as it did.
    assert [json.dumps(report(store, *by)) for by in ((), ("week",), ("month",))] == before
    total: Any = report(store)["total"]["cross_sell"]
    assert total["customer"]["denominator"] == 3
    assert total["checkout"]["denominator"] == 5
    again = drop_before(store, SINCE, SilentProgress())
    assert (again.dropped, again.days) == (0, 3)


def test_new_facts_count_on_beside_sealed_days(store: Store) -> None:
    store.facts.append(FACTS)
    whole: Any = report(store)
    drop_before(store, SINCE, SilentProgress())
    store.facts.append(visit("9", "2026-02-20T10:00", "ann", bought=True))
    store.facts.append(
        visit("10", "2026-01-07T10:00", "zoe", bought=True)
    )  # too late to be counted
    total: Any = report(store)
    shown = [each["total"]["cross_sell"]["offer"]["denominator"] for each in (whole, total)]
    assert shown[1] == shown[0] + 1
    customers = [each["total"]["cross_sell"]["customer"]["denominator"] for each in (whole, total)]
    assert customers[0] == customers[1] == 3
    assert would_drop(store, SINCE) == 3
    # The refund of an order that was dropped has nothing to be matched with any more.
    done = rebuild(store, ReportQuery.from_store(store), SilentProgress())
    assert done.differed == ("2026-02-12",)


def test_what_needs_the_facts_says_that_they_are_gone(store: Store) -> None:
    store.facts.append(FACTS)
    drop_before(store, SINCE, SilentProgress())
    with pytest.raises(ConfigError, match="2026-02-01"):
        report(store, "item")
    with pytest.raises(ConfigError, match="2026-02-01"):
        build_report(store, ReportQuery(timezone="Asia/Tokyo"))
    assert report(store, "item", since=SINCE)["groups"]
    with pytest.raises(ConfigError, match="gone already"):
        drop_before(store, date(2026, 1, 1), SilentProgress())


def test_where_nothing_is_dropped_every_report_stays_and_older_facts_count(store: Store) -> None:
    store.facts.append(FACTS)
    assert drop_before(store, date(2026, 1, 1), SilentProgress()).dropped == 0
    tokyo = ReportQuery(timezone="Asia/Tokyo")
    before: Any = build_report(store, tokyo)["total"]
    store.facts.append(visit("10", "2025-12-07T10:00", "zoe", bought=True))
    for after in (build_report(store, tokyo), report(store)):
        shown = [total["cross_sell"]["offer"]["denominator"] for total in (before, after["total"])]
        assert shown[1] == shown[0] + 1
    assert drop_before(store, date(2026, 1, 1), SilentProgress()).dropped == 3


def unit_names(store: Store) -> set[str]:
    engine = create_engine(store.url)
    try:
        with engine.connect() as connection:
            return set(connection.scalars(text("select name from rollup_units")))
    finally:
        engine.dispose()


def test_a_person_is_forgotten_and_keys_are_renewed_in_roll_ups_too(store: Store) -> None:
    store.facts.append(FACTS)
    before = json.dumps(report(store, "month"))
    drop_before(store, SINCE, SilentProgress())
    names = unit_names(store)
    of_ann = store.people.units("ann")
    assert len(of_ann) == 1
    assert set(of_ann) < names
    store.people.erase("ann")
    assert store.people.units("ann") == []
    forgotten = unit_names(store)
    assert len(names) == len(forgotten)
    assert len(names - forgotten) == 1
    assert json.dumps(report(store, "month")) == before
    rotated = open_store(
        store.url.render_as_string(hide_password=False),
        secret=SECRET + b"\nanother secret, as long",
    )
    rotated.people.rotate(lambda _: None)
    renewed = unit_names(store)
    assert len(renewed - forgotten) == 3, "all but the one under a random name"
    assert json.dumps(report(rotated, "month")) == before
    rotated.facts.append(visit("11", "2026-02-21T10:00", "bob", bought=True))
    total: Any = report(rotated)["total"]["cross_sell"]
    assert total["customer"]["denominator"] == 3, "bob is the bob of the dropped months"
    rotated.close()


def test_months_are_counted_back_from_the_present_one() -> None:
    assert first_kept(date(2026, 3, 31), 1) == date(2026, 2, 1)
    assert first_kept(date(2026, 3, 1), 3) == date(2025, 12, 1)
    assert first_kept(date(2026, 3, 1), 27) == date(2023, 12, 1)
    for impossible in (0, -1, 10**6):
        with pytest.raises(ConfigError, match="keep-months"):
            first_kept(date(2026, 3, 1), impossible)


def test_postgresql_keeps_a_table_for_each_month(fresh_postgres_url: str) -> None:
    store = open_store(fresh_postgres_url, secret=SECRET)
    store.migrate()
    store.facts.append(FACTS)
    engine = create_engine(parse_url(fresh_postgres_url))

    def months() -> set[str]:
        return {name for name in inspect(engine).get_table_names() if name.startswith("facts_2")}

    assert months() == {"facts_2026_01", "facts_2026_02"}
    again = store.facts.append(FACTS)
    assert (again.recorded, again.duplicates) == (0, len(FACTS))
    moved = replace(FACTS[1], occurred_at=at("2026-03-01T10:00"))
    (rejected,) = store.facts.append([moved]).rejected
    assert rejected.code == "conflict", "the same id in another month"
    drop_before(store, SINCE, SilentProgress())
    assert months() == {"facts_2026_02", "facts_2026_03"}
    assert store.facts.append([FACTS[0]]).recorded == 1, (
        "a dropped month is made again where needed"
    )
    engine.dispose()
    store.close()


def upgrade(name: str, moment: str, customer: str) -> list[Fact]:
    """A visit in which a mug was bought instead of the cup in the cart."""
    decision, view, purchase = visit(name, moment, customer, bought=True)
    assert isinstance(decision, Decision)
    offer = Offer(f"o{name}", "upsell", "mug", 1, 4_900, replaces=Replaces("cup", 1, 4_000))
    cart = (CartLine("cup", 1, 900),)
    return [replace(decision, lines=cart, offers=(offer,)), view, purchase]


BOTH_KINDS = [
    *FACTS,
    *upgrade("20", "2026-01-05T11:00", "ann"),
    *upgrade("21", "2026-01-31T09:00", "carl"),
    *upgrade("22", "2026-02-11T09:00", "carl"),
]


def counted_by_0_1_0(made: Any) -> str:
    """A report without effects and numbers of decisions that version 0.1.0 did not count."""
    for entry in (made["quality"], *made["groups"]):
        entry.pop("immature", None)
        entry.pop("checkouts", None)
    for row in (made["total"], *made["groups"]):
        for kind in KINDS:
            del row[kind]["net_incremental"]
            effect = row[kind]["incremental"]
            for entry, name in (
                (effect, "orders"),
                (effect, "offered_units"),
                (effect["per_unit"], "orders"),
                (effect["per_unit"], "offered_units"),
                (effect["per_unit"], "revenue_per_unit"),
                (effect["per_unit"], "completion"),
            ):
                del entry[name]
    return json.dumps(made)


def test_days_that_version_0_1_0_sealed_keep_their_numbers(store: Store, tmp_path: Path) -> None:
    """What it had dropped and sealed, and what is dropped and sealed now, is one report."""
    kept = json.loads((Path(__file__).parent / "rollups_of_0_1_0.json").read_text())
    store.facts.append([fact for fact in BOTH_KINDS if fact.occurred_at >= at("2026-01-31T23:00")])
    statements = {
        "insert into rollup_units (id, name) values (:id, :name)": [
            {"id": id_, "name": name} for id_, name in kept["units"]
        ],
        "insert into rollups (day, body) values (:day, :body)": [
            {"day": day, "body": b64decode(body)} for day, body in kept["rollups"].items()
        ],
        "insert into settings (name, value) values (:name, :value)": [
            {"name": name, "value": value} for name, value in kept["settings"].items()
        ],
    }
    engine = create_engine(store.url)
    with engine.begin() as connection:
        for statement, rows in statements.items():
            connection.execute(text(statement), rows)
    engine.dispose()
    now = open_store(str(tmp_path / "now.db"), secret=SECRET)
    now.migrate()
    now.reports.save_settings({"timezone": "Europe/Oslo", "currency": "NOK"})
    now.facts.append(BOTH_KINDS)
    drop_before(now, SINCE, SilentProgress())
    rebuild(now, ReportQuery.from_store(now), SilentProgress())  # of its facts, as they are now
    for by in ((), ("day",), ("week",), ("month",)):
        assert counted_by_0_1_0(report(store, *by)) == counted_by_0_1_0(report(now, *by))
    sealed: Any = build_report(store, ReportQuery(until=date(2026, 1, 31)))["total"]["cross_sell"]
    gross, net = sealed["incremental"], sealed["net_incremental"]
    assert gross["treatment"]["numerator"] == net["treatment"]["numerator"] == 2
    assert gross["offered_units"]["treatment"] == gross["treatment"]["value"]
    total: Any = report(store)["total"]
    assert total["cross_sell"]["conversions"]["total"] == 4
    assert total["upsell"]["conversions"]["total"] == 1
    assert total["upsell"]["incremental"]["control"]["numerator"] == 2
    now.close()
