"""One battery for every store of facts: SQLite and PostgreSQL keep the same promises."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from mersalg.engine.errors import StorageMismatch, StorageUnavailable
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.facts import (
    Arm,
    CartLine,
    Change,
    Decision,
    Event,
    Evidence,
    Fact,
    Offer,
    PurchaseItem,
    Replaces,
)
from mersalg.engine.live_items import Stated
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.storage.connection import connect, parse_url
from mersalg.engine.storage.fact_rows import AppendResult
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.questions import BuyerQuery
from mersalg.engine.storage.store import Store, open_existing_store, open_store

SECRET = b"a secret of the tests, long enough"
HOUR = 3_600_000_000


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'facts.db'}"
    return cast(str, request.getfixturevalue("fresh_postgres_url"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url, secret=SECRET)
    opened.migrate()
    yield opened
    opened.close()


def decision(number: int = 1, **changes: object) -> Decision:
    base = Decision(
        event_id=f"e-{number}",
        decision_id=f"dec-{number}",
        occurred_at=number * HOUR,
        checkout_id=f"ch-{number}",
        session_id=f"session-{number}",
        customer_id="Kari Nordmann",
        arm="treatment",
        model_version="v1",
        placement="checkout",
        currency="NOK",
        lines=(CartLine("phone-64", 2, 599_000), CartLine("æøå 日本", Decimal("0.5"))),
        offers=(
            Offer(
                offer_id=f"off-{number}-1",
                kind="cross_sell",
                item_id="case-1",
                position=1,
                unit_price_minor=19_900,
                name="Case",
                score=0.31,
                text="Bought together",
                evidence=Evidence(("phone-64",), 412, 1310, 0.3145, 6.2, 5.6),
            ),
            Offer(
                offer_id=f"off-{number}-2",
                kind="upsell",
                item_id="phone-256",
                position=1,
                unit_price_minor=2**50,
                replaces=Replaces("phone-64", 2, 100_000),
                gains=(Change("storage_gb", "64", "256"),),
                losses=(Change("weight_g", "180", "190"),),
            ),
        ),
        control_share=0.1,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def purchase(number: int = 1, **changes: object) -> Event:
    base = Event(
        event_id=f"p-{number}",
        type="purchase",
        occurred_at=number * HOUR + 60,
        checkout_id=f"ch-{number}",
        customer_id="Kari Nordmann",
        transaction_id=f"t-{number}",
        currency="NOK",
        items=(PurchaseItem("case-1", 1, 19_900, 100, f"off-{number}-1"),),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def everything(store: Store) -> list[Fact]:
    return list(store.facts.read(FactScope()))


def named(facts: list[Fact]) -> list[str]:
    return [fact.event_id for fact in facts]


def test_a_fact_is_recorded_once(store: Store) -> None:
    facts: list[Fact] = [decision(), purchase()]
    first = store.facts.append(facts)
    assert (first.recorded, first.duplicates, first.rejected) == (2, 0, ())
    again = store.facts.append([*facts, *facts])
    assert (again.recorded, again.duplicates, again.rejected) == (0, 4, ())
    assert again.duplicate_indices == (0, 1, 2, 3)
    assert named(everything(store)) == ["e-1", "p-1"]


def test_the_same_id_with_another_body_is_a_conflict(store: Store) -> None:
    store.facts.append([decision(1), purchase(1)])
    result = store.facts.append(
        [
            purchase(1, transaction_id="other"),  # the event_id is taken
            decision(1, event_id="e-9"),  # the decision_id is
            decision(1, event_id="e-10", decision_id="dec-10"),  # the offer_ids are
            purchase(2),
            decision(2, event_id="p-2"),  # taken inside this very batch
        ]
    )
    assert [(entry.index, entry.code) for entry in result.rejected] == [
        (0, "conflict"),
        (1, "conflict"),
        (2, "conflict"),
        (4, "conflict"),
    ]
    assert result.recorded == 1
    assert named(everything(store)) == ["e-1", "p-1", "p-2"]
    assert store.facts.decision("dec-10") is None


def test_an_event_of_a_storefront_key_takes_no_id_of_another(store: Store) -> None:
    when = "2026-03-02T10:00:00+01:00"
    order = {"type": "purchase", "event_id": "shopify/order/1", "occurred_at": when}
    order |= {"transaction_id": "t", "items": [{"item_id": "case-1"}]}
    view = {"type": "view_promotion", "event_id": "shopify/order/1", "occurred_at": when}
    view |= {"offer_id": "off-1-1"}
    sent: list[Fact] = [
        *(parse_fact({**view, "scope": scope}) for scope in ("storefront", "token")),
        *(parse_fact({**order, "scope": scope}) for scope in (None, "server")),
    ]
    assert store.facts.append(sent) == AppendResult(2, 2, (), (1, 3))
    assert named(everything(store)) == ["shopify/order/1", "storefront/shopify/order/1"]
    result = store.facts.append([purchase(event_id="storefront/own")])
    assert [(each.index, each.code) for each in result.rejected] == [(0, "invalid")]


def test_two_decisions_of_one_batch_cannot_share_an_offer(store: Store) -> None:
    result = store.facts.append([decision(1), decision(2, offers=decision(1).offers)])
    assert result.recorded == 1
    assert [entry.code for entry in result.rejected] == ["conflict"]
    assert len(everything(store)) == 1


def test_a_copy_of_a_rejected_fact_is_rejected_like_it(store: Store) -> None:
    store.facts.append([purchase(1)])
    wrong = purchase(1, currency="EUR")
    result = store.facts.append([wrong, wrong])
    assert (result.recorded, result.duplicates, len(result.rejected)) == (0, 0, 2)


def test_an_empty_batch_is_no_trouble(store: Store) -> None:
    assert store.facts.append([]).recorded == 0


def test_facts_come_back_whole_and_in_order(store: Store) -> None:
    sent: list[Fact] = [purchase(2), decision(2), purchase(1), decision(1)]
    store.facts.append(sent)
    back = everything(store)
    assert named(back) == ["e-1", "p-1", "e-2", "p-2"]
    nobody = {"customer_id": None, "session_id": None}
    by_id = {fact.event_id: fact for fact in sent}
    assert [replace(fact, **nobody) for fact in back] == [
        replace(by_id[fact.event_id], **nobody) for fact in back
    ]


def test_a_decision_explains_itself(store: Store) -> None:
    sent = decision()
    store.facts.append([sent])
    back = store.facts.decision("dec-1")
    assert back is not None
    assert back.offers == sent.offers
    assert store.facts.decision("dec-2") is None


def test_the_scope_follows_checkouts_offers_and_transactions(store: Store) -> None:
    store.facts.append(
        [
            decision(1),
            decision(2),
            # Same checkout as decision 1, long after it.
            Event("v", "view_promotion", 50 * HOUR, offer_id="off-1-1"),
            purchase(1, occurred_at=60 * HOUR),
            # Names an offer of decision 1 on a line only; its refund names nothing but it.
            purchase(7, occurred_at=70 * HOUR, checkout_id=None, items=purchase(1).items),
            Event("r", "refund", 80 * HOUR, transaction_id="t-7"),
            decision(3, checkout_id="ch-1", occurred_at=90 * HOUR),
            purchase(2, occurred_at=95 * HOUR),
        ]
    )
    found = named(list(store.facts.read(FactScope(HOUR, HOUR + 1))))
    assert found == ["e-1", "v", "p-1", "p-7", "r", "e-3"]
    # The late purchase brings the checkout it ended.
    assert named(list(store.facts.read(FactScope(since=95 * HOUR)))) == ["e-2", "p-2"]
    # A refund brings its purchase, and that the checkout whose offer it names.
    assert named(list(store.facts.read(FactScope(80 * HOUR, 81 * HOUR)))) == found
    assert named(list(store.facts.read(FactScope(until=HOUR)))) == []


def test_the_scope_follows_sessions_to_the_customer_they_belong_to(store: Store) -> None:
    anonymous = decision(1, customer_id=None, session_id="s")
    store.facts.append([anonymous, decision(5, session_id="s"), decision(6)])
    assert named(list(store.facts.read(FactScope(HOUR, HOUR + 1)))) == ["e-1", "e-5"]


def _first_arm(store: Store, session_id: str) -> Arm | None:
    [buyer] = store.questions.known_buyers([BuyerQuery("k", arm_session_id=session_id)])
    return buyer.arm


def test_a_session_keeps_its_first_arm(store: Store) -> None:
    assert _first_arm(store, "session-1") is None
    store.facts.append([decision(2, session_id="session-1", arm="treatment")])
    store.facts.append([decision(1, arm="control")])
    assert _first_arm(store, "session-1") == "control"


def test_several_buyers_are_looked_up_at_once(store: Store) -> None:
    edited = (PurchaseItem("mug", 1),)
    store.facts.append(
        [
            decision(2, session_id="s", arm="control"),
            decision(1, session_id="s"),
            decision(3, session_id="t", arm="control"),
            purchase(4, customer_id="early"),
            purchase(9, customer_id="Ola"),
            purchase(10, customer_id="Ola"),
            # An edited order is bought once, with its latest items, when it was placed.
            purchase(11, customer_id="Ola", transaction_id="t-9", revision=1, items=edited),
        ]
    )
    many = [f"nobody-{number}" for number in range(600)]
    arms = store.questions.known_buyers(
        [BuyerQuery("k", arm_session_id=each) for each in ("s", *many, "t", "s")]
    )
    assert [arms[0].arm, arms[-2].arm, arms[-1].arm] == ["treatment", "control", "treatment"]
    assert {each.arm for each in arms[1:-2]} == {None}
    bought = {fact.event_id: fact.occurred_at for fact in everything(store)}
    after = max(at for event_id, at in bought.items() if event_id == purchase(4).event_id)
    buyers = store.questions.known_buyers(
        [
            BuyerQuery("k", customer_id=each, bought_after=after)
            for each in ("early", "Ola", *many, "Ola")
        ]
    )
    orders = [bought["p-9"], bought["p-10"]]
    assert [[at for at, _ in each.purchases] for each in buyers] == [
        *([], orders),
        *([[]] * len(many)),
        orders,
    ]
    assert [items for _, items in buyers[1].purchases] == [("mug",), ("case-1",)]
    assert store.questions.known_buyers([]) == []


def test_a_batch_partly_known_or_clashing_takes_what_is_new(store: Store) -> None:
    assert store.facts.append([decision(1), purchase(1)]).recorded == 2
    clashing = decision(3, offers=decision(1).offers)
    result = store.facts.append([decision(2), decision(1), clashing, purchase(2)])
    assert (result.recorded, result.duplicates) == (2, 1)
    assert [(each.index, each.code) for each in result.rejected] == [(2, "conflict")]
    assert store.facts.append([decision(4)]).recorded == 1  # the connection writes on
    assert len(everything(store)) == 5


def test_settings_are_remembered_and_replaced(store: Store, url: str) -> None:
    assert store.reports.settings() == {}
    store.reports.save_settings({"currency": "NOK", "name": "Kafé"})
    store.reports.save_settings({"currency": "EUR"})
    other = open_store(url, secret=SECRET)
    assert other.reports.settings() == {"currency": "EUR", "name": "Kafé"}
    other.close()


def test_customers_are_stored_under_pseudonyms(store: Store) -> None:
    store.facts.append([decision(1), decision(2), purchase(1)])
    customers = {fact.customer_id for fact in everything(store)}
    sessions = {fact.session_id for fact in everything(store)}
    assert len(customers) == 1
    assert len(sessions) == 3
    assert all(name and name.startswith("p1.") for name in customers)


def test_no_raw_identifier_is_in_the_database(tmp_path: Path) -> None:
    opened = open_store(str(tmp_path / "facts.db"), secret=SECRET)
    opened.migrate()
    opened.facts.append([decision(1), purchase(1)])
    opened.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"dec-1" in raw
    assert b"Nordmann" not in raw
    assert b"session-1" not in raw


def test_only_a_trusted_source_brings_pseudonyms(store: Store) -> None:
    store.facts.append([decision(1)])
    known = cast(str, everything(store)[0].customer_id)
    store.facts.append([decision(2, customer_id=known)])
    store.facts.append([decision(3, customer_id=known)], trusted=True)
    names = [fact.customer_id for fact in everything(store)]
    assert names[0] == names[2] == known
    assert names[1] != known


def test_a_customer_can_be_exported_and_erased(store: Store) -> None:
    sent = [decision(1), purchase(1), decision(2, customer_id="Ola")]
    store.facts.append(sent)
    assert named(list(store.people.facts("Kari Nordmann"))) == ["e-1", "p-1"]
    before = everything(store)
    assert store.people.erase("Kari Nordmann") == 2
    assert list(store.people.facts("Kari Nordmann")) == []
    after = everything(store)
    assert named(after) == named(before)
    # Still one unit, but nobody that a name leads to; and the other customer is untouched.
    assert after[0].customer_id == after[1].customer_id != before[0].customer_id
    assert after[2] == before[2]
    assert _first_arm(store, "session-1") is None
    assert store.facts.append(sent).duplicates == 3


def test_two_writers_record_a_fact_once(store: Store, url: str) -> None:
    facts: list[Fact] = [purchase(number) for number in range(40)]
    stores = [open_store(url, secret=SECRET) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        orders = (facts, facts[::-1], facts, facts[::-1])
        results = list(
            threads.map(
                lambda pair: pair[0].facts.append(pair[1]), zip(stores, orders, strict=True)
            )
        )
    assert sum(result.recorded for result in results) == 40
    assert sum(result.duplicates for result in results) == 120
    assert len(everything(store)) == 40
    for other in stores:
        other.close()


def test_migration_is_safe_to_run_twice_and_at_once(url: str) -> None:
    stores = [open_store(url, secret=SECRET) for _ in range(3)]
    with pytest.raises(StorageUnavailable, match="mersalg migrate"):
        stores[0].ping()
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda opened: opened.migrate(), stores))
    for opened in stores:
        opened.migrate()
        opened.ping()
        opened.close()


def test_another_secret_is_refused(store: Store, url: str) -> None:
    store.ping()
    other = open_store(url, secret=b"quite another secret, also long")
    with pytest.raises(StorageMismatch, match="another secret"):
        other.migrate()
    other.close()


def test_a_database_of_a_later_version_is_refused(store: Store, url: str) -> None:
    engine = connect(parse_url(url))
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StorageUnavailable, match=r"has schema 9999.*upgrade this program"):
        store.ping()
    with pytest.raises(StorageMismatch, match=r"later version.*upgrade this program"):
        store.migrate()


def test_readers_need_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "facts.db"
    opened = open_store(str(path), secret=SECRET)
    opened.migrate()
    opened.facts.append([decision(1)])
    opened.close()
    reader = open_existing_store(str(path))
    reader.upgrade()
    assert named(everything(reader)) == ["e-1"]
    assert not (tmp_path / "facts.db.key").exists()
    reader.close()


def test_what_could_not_be_read_again_is_not_stored(store: Store) -> None:
    good = decision(1)
    endless = replace(good.offers[0], item_id="x" * 201)
    result = store.facts.append([good, decision(2, offers=(endless,)), decision(3, checkout_id="")])
    assert [(entry.index, entry.code) for entry in result.rejected] == [
        (1, "invalid"),
        (2, "invalid"),
    ]
    assert result.recorded == 1
    # A name is for people only: a long one costs its end, not the fact.
    wordy = replace(good.offers[0], offer_id="wordy", name="n" * 300)
    assert store.facts.append([decision(4, offers=(wordy,))]).recorded == 1
    assert named(everything(store)) == ["e-1", "e-4"]


def test_a_fact_survives_reopening(store: Store, url: str) -> None:
    store.facts.append([decision(1)])
    store.close()
    again = open_store(url, secret=SECRET)
    assert named(everything(again)) == ["e-1"]
    again.close()


def test_a_fact_from_json_comes_back_equal(store: Store) -> None:
    sent = parse_fact(
        {
            "type": "purchase",
            "event_id": "e",
            "occurred_at": "2026-03-29T01:59:59.123456+01:00",
            "transaction_id": 17,
            "currency": "JPY",
            "items": [{"item_id": "x", "quantity": "1.25", "price": 900}],
        }
    )
    store.facts.append([sent])
    assert everything(store) == [sent]


def test_a_note_is_replaced_only_where_it_is_as_it_was_read(store: Store) -> None:
    assert store.replace_note("a", None, "1")
    assert not store.replace_note("a", None, "2")
    assert not store.replace_note("a", "0", "2")
    assert store.note("a") == "1"
    assert store.replace_note("a", "1", "2")
    assert store.note("a") == "2"


def test_prices_that_change_are_counted_by_the_quarter_of_an_hour(store: Store) -> None:
    def state(item_id: str, price: str, at: int, before: str | None = None) -> None:
        known = {} if before is None else {item_id: before}
        store.live.take([Stated(item_id, {"price": price}, at)], known)

    state("bun", "10.00", HOUR)  # the first price that anybody knows
    state("bun", "10", 2 * HOUR)  # the same
    state("bun", "12.00", 3 * HOUR + 1)
    state("bun", "11.00", 2 * HOUR + 1)  # came late
    state("jam", "39.00", 3 * HOUR + 2, before="39.0")
    state("tea", "45.00", 3 * HOUR + 3, before="49.00")
    state("tea", "49.00", 4 * HOUR, before="1.00")  # what is stated comes first
    store.live.take([Stated("tea", {"in_stock": False}, 5 * HOUR)])
    assert store.live.price_changes(0, 5 * HOUR) == [(3 * HOUR, 2), (4 * HOUR, 1)]
    assert store.live.price_changes(4 * HOUR, 4 * HOUR) == [(4 * HOUR, 1)]
    years = 4 * 366 * 24 * HOUR
    state("bun", "13.00", years)
    assert store.live.price_changes(0, years) == [(years, 1)], "it does not grow without end"


def test_the_audit_log_is_read_by_actions(store: Store) -> None:
    entries = [
        AuditEntry(n, "key:a", action, None, "done")
        for n, action in enumerate(("publish", "set rule", "publish"))
    ]
    for entry in entries:
        store.audit.add(entry)
    assert store.audit.latest(9) == entries[::-1]
    assert store.audit.latest(1, ("set rule", "end rule")) == [entries[1]]
