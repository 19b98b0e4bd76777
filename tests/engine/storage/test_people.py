"""Secrets that change, and people who are forgotten: in facts and in models."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replaced
from sqlalchemy.engine import URL

from mersalg.engine.arrays import Ragged
from mersalg.engine.customers import erase_everywhere, remembered
from mersalg.engine.errors import ConfigError, ModelError, StorageMismatch
from mersalg.engine.facts import Event, EventType, Fact, PurchaseItem
from mersalg.engine.forgotten import Forgotten
from mersalg.engine.ranking.purchases import Customers, Purchases, hash_of
from mersalg.engine.registry import Registry
from mersalg.engine.storage.connection import parse_url
from mersalg.engine.storage.facts import ERASED
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.pseudonyms import Pseudonyms, add_secret, customer_key, load_secret
from mersalg.engine.storage.store import open_store
from mersalg.engine.tracking.query import ReportQuery
from mersalg.engine.tracking.report import build_report
from mersalg.serving.live_model import LiveModel
from mersalg.serving.metrics import Metrics
from tests.support.models import tiny_model

OLD, NEW, NEWER = (f"{word} secret of the tests".encode() for word in ("first", "second", "third"))


def view(number: int, customer: str | None, session: str | None) -> Event:
    return Event(
        f"e-{number}",
        "view_promotion",
        number,
        offer_id=f"o-{number}",
        customer_id=customer,
        session_id=session,
    )


FACTS: list[Fact] = [
    view(1, "Kari", "s1"),
    view(2, "Kari", None),
    view(3, None, "s1"),
    view(4, "Ola", "s2"),
    view(5, None, None),
]


def who(facts: list[Fact]) -> list[tuple[str | None, str | None]]:
    return [(fact.customer_id, fact.session_id) for fact in facts]


@given(st.text(min_size=1), st.sampled_from(["customer", "session"]))
def test_stored_hashes_become_those_of_the_new_secret(identifier: str, kind: str) -> None:
    old, both = Pseudonyms(OLD), Pseudonyms(OLD + b"\n" + NEW)
    all_three = Pseudonyms(b"\n".join((OLD, NEW, NEWER)))
    stored = old.of(kind, identifier)
    assert both.renewed(stored) == both.of(kind, identifier) != stored
    assert all_three.renewed(both.renewed(stored)) == all_three.of(kind, identifier)
    assert all_three.renewed(stored) == all_three.of(kind, identifier)
    assert both.of(kind, stored, trusted=True) == both.of(kind, identifier)
    # Who holds the earlier secret alone cannot make the present hash.
    assert Pseudonyms(NEW).of(kind, identifier) != both.of(kind, identifier)


@pytest.mark.parametrize("database", ["sqlite", pytest.param("pg", marks=pytest.mark.postgres)])
def test_a_database_goes_over_to_a_new_secret(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    if database == "pg":
        url = str(request.getfixturevalue("fresh_postgres_url"))
    store = open_store(url, secret=OLD)
    store.migrate()
    store.facts.append(FACTS)
    store.facts.append([view(6, "Eve", "s6")])
    store.people.erase("Eve")
    before = who(list(store.facts.read(FactScope())))
    store.close()

    store = open_store(url, secret=OLD + b"\n" + NEW)
    with pytest.raises(StorageMismatch, match="rotate --present"):
        store.migrate()
    looked_at: list[int] = []
    assert store.people.rotate(looked_at.append) == 4
    assert sum(looked_at) == 4
    assert store.people.rotate(looked_at.append) == 0
    store.migrate()
    after = who(list(store.facts.read(FactScope())))
    assert [len({one[place] for one in after}) for place in (0, 1)] == [
        len({one[place] for one in before}) for place in (0, 1)
    ]
    assert not {text for one in before[:-1] for text in one if text} & {
        text for one in after for text in one if text
    }
    # The stranger Eve became has no secret to go over to.
    assert after[-1] == before[-1]
    # The same facts sent again are still known, and the same people still found.
    again = store.facts.append(FACTS)
    assert (again.recorded, again.duplicates, again.rejected) == (0, len(FACTS), ())
    assert [fact.event_id for fact in store.people.facts("Kari")] == ["e-1", "e-2", "e-3"]
    store.close()
    store = open_store(url, secret=OLD)
    with pytest.raises(StorageMismatch):
        store.migrate()
    store.close()


def test_a_rotation_that_was_killed_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    store = open_store(url, secret=OLD)
    store.migrate()
    n_facts = 4_500
    store.facts.append([view(number, f"c{number % 50}", None) for number in range(n_facts)])
    store.close()
    store = open_store(url, secret=OLD + b"\n" + NEW)

    def killed(renewed: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.people.rotate(killed)
    assert 0 < store.people.rotate(lambda renewed: None) < n_facts
    assert len({fact.customer_id for fact in store.facts.read(FactScope())}) == 50
    store.close()


def _with_its_own_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> URL:
    """A database whose secret comes from no setting."""
    monkeypatch.delenv("MERSALG_SECRET", raising=False)
    monkeypatch.delenv("MERSALG_SECRET_FILE", raising=False)
    return parse_url(f"sqlite:///{folder / 'facts.db'}")


def test_new_secrets_stand_behind_the_old_in_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = _with_its_own_secret(tmp_path, monkeypatch)
    first = load_secret(url)
    path = add_secret(url)
    assert path.stat().st_mode & 0o777 == 0o600
    both = load_secret(url)
    assert both.splitlines()[0] == first
    assert len(both.splitlines()) == 2
    key = customer_key(tmp_path)
    monkeypatch.setenv("MERSALG_SECRET_FILE", str(path))
    assert customer_key(tmp_path) == first != key
    monkeypatch.setenv("MERSALG_SECRET", "given by the environment")
    with pytest.raises(ConfigError, match="--present"):
        add_secret(url)
    monkeypatch.setenv("MERSALG_SECRET", "twice the same secret\ntwice the same secret\n")
    with pytest.raises(ConfigError, match="twice"):
        load_secret(url)


def test_a_secret_that_cannot_be_put_in_place_is_left_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = _with_its_own_secret(tmp_path, monkeypatch)
    before = load_secret(url)

    def busy(self: Path, target: Path) -> Path:
        raise OSError(errno.EBUSY, "Device or resource busy")  # as of a file that is mounted alone

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", busy)
        with pytest.raises(ConfigError, match="busy"):
            add_secret(url)
    assert load_secret(url) == before
    assert [path.name for path in tmp_path.iterdir()] == ["facts.db.key"]


def test_who_could_read_the_secret_still_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = _with_its_own_secret(tmp_path, monkeypatch)
    before = load_secret(url)
    path = tmp_path / "facts.db.key"
    path.chmod(0o640)
    assert add_secret(url) == path
    assert path.stat().st_mode & 0o777 == 0o640
    assert load_secret(url).startswith(before + b"\n")


def _customers(key: bytes) -> Customers:
    purchases = Purchases(
        Ragged.of_rows([[5], [9]], np.int64), Ragged.of_rows([[0], [1]], np.int32)
    )
    return Customers.of(["Kari", "Ola"], purchases, key)


def test_models_know_an_erased_customer_no_more(tmp_path: Path) -> None:
    key = customer_key(tmp_path)
    store = open_store(f"sqlite:///{tmp_path / 'facts.db'}")
    store.migrate()
    store.facts.append(FACTS)
    query = ReportQuery.from_store(store)
    before = build_report(store, query)
    assert erase_everywhere("Kari", store, tmp_path) == 3
    assert list(store.people.facts("Kari")) == []
    assert build_report(store, query) == before
    assert erase_everywhere("Kari", store, tmp_path) == 0
    store.close()
    known = _customers(key).without(Forgotten(tmp_path).hashes())
    assert (known.row_of("Kari", key), known.row_of("Ola", key)) == (-1, 1)
    assert Forgotten(tmp_path).path.read_text() == f"{hash_of('Kari', key):016x}\n"


@pytest.mark.parametrize("database", ["sqlite", pytest.param("pg", marks=pytest.mark.postgres)])
def test_what_comes_after_an_erasure_ties_no_order_to_the_person(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    if database == "pg":
        url = str(request.getfixturevalue("fresh_postgres_url"))
    store = open_store(url, secret=OLD)
    store.migrate()

    def event(event_id: str, kind: EventType, at: int, **fields: Any) -> Event:
        items = (PurchaseItem("case-1", 1, 100),) if kind == "purchase" else ()
        return Event(event_id, kind, at, items=items, currency="NOK", **fields)

    order = event("p-1", "purchase", 10, checkout_id="ch", transaction_id="t", customer_id="Kari")
    others = event("p-2", "purchase", 11, transaction_id="t2", customer_id="Ola", session_id="s2")
    store.facts.append([*FACTS, replaced(view(9, "Kari", "s9"), checkout_id="ch"), order, others])
    store.people.erase("Kari")
    late = [
        event("r-1", "refund", 20, transaction_id="t", customer_id="Kari", session_id="s1"),
        event("r-2", "cancel", 21, transaction_id="t", customer_id="Kari"),
        event("r-3", "refund", 23, checkout_id="ch", transaction_id="t9", customer_id="Kari"),
        event("p-1b", "purchase", 22, transaction_id="t", customer_id="Kari", revision=2),
    ]
    of_others = event("r-4", "refund", 24, transaction_id="t2", customer_id="Ola")
    again = event("p-3", "purchase", 25, transaction_id="t3", customer_id="Kari")
    assert store.facts.append([*late, of_others, again]).recorded == 6
    assert store.facts.append([*late, of_others, again]).duplicates == 6
    assert [fact.event_id for fact in store.people.facts("Kari")] == ["p-3"], "a purchase of today"
    assert "r-4" in {fact.event_id for fact in store.people.facts("Ola")}
    stored = {fact.event_id: fact for fact in store.facts.read(FactScope())}
    assert {stored[each.event_id].customer_id for each in late} == {stored["p-1"].customer_id}
    assert str(stored["p-1"].customer_id).startswith(ERASED)
    store.close()


def test_the_export_holds_what_an_erasure_touches(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'facts.db'}", secret=OLD)
    store.migrate()
    store.facts.append(FACTS)
    exported = [fact.event_id for fact in store.people.facts("Kari")]
    assert store.people.erase("Kari") == len(exported) == 3
    assert store.people.erase("Kari") == 0
    store.close()


def test_an_id_that_looks_like_a_pseudonym_is_the_customer_who_has_it(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'facts.db'}", secret=OLD)
    store.migrate()
    alike = store.people.pseudonym_of("Kari")
    store.facts.append([view(1, "Kari", None), view(2, alike, None)])
    assert store.people.erase(alike) == 1
    assert [fact.event_id for fact in store.people.facts("Kari")] == ["e-1"]
    assert store.people.erase(alike) == 1, "now it is nobody's id, and a pseudonym"
    store.close()


def test_what_a_model_remembers_is_exported(tmp_path: Path) -> None:
    key = customer_key(tmp_path)
    model = replace(tiny_model(), customers=_customers(key), customer_key=key)
    known = remembered("Ola", model)
    assert known is not None
    [order] = known.orders
    assert order["item_ids"] == [model.catalogue.items[1]]
    assert remembered("nobody", model) is None
    assert remembered("Ola", None) is None


def test_a_damaged_list_of_the_forgotten_is_reported(tmp_path: Path) -> None:
    assert len(Forgotten(tmp_path).hashes()) == 0
    Forgotten(tmp_path).add(2**64 - 1)
    Forgotten(tmp_path).add(7)
    assert Forgotten(tmp_path).hashes().tolist() == [7, 2**64 - 1]
    with Forgotten(tmp_path).path.open("a") as file:
        file.write("Kari\n")
    with pytest.raises(ModelError, match=r"line 3: 'Kari'"):
        Forgotten(tmp_path).hashes()


def test_a_damaged_list_of_the_forgotten_takes_customers_away_and_no_model(tmp_path: Path) -> None:
    """Whose line is damaged is not known, so nobody is remembered until it is mended."""
    registry, key = Registry(tmp_path), customer_key(tmp_path)
    registry.publish(registry.write(replace(tiny_model(), customers=_customers(key)), {}))
    forgotten = Forgotten(tmp_path)
    forgotten.add(hash_of("Ola", key))
    whole = forgotten.path.read_text()
    forgotten.path.write_text(whole[:-5])
    live = LiveModel(registry, Metrics(), loaded=lambda _model: None)
    asyncio.run(live.reload())
    assert live.model is not None
    assert live.model.customers is None
    assert "line 1" in str(live.status.problem)
    # Another erasure is not refused, and has a line of its own.
    forgotten.add(hash_of("Kari", key))
    assert forgotten.path.read_text().splitlines()[1] == f"{hash_of('Kari', key):016x}"
    forgotten.path.write_text(whole)
    asyncio.run(live.reload())
    live.close()
    assert live.status.problem is None
    assert live.model.customers is not None
    assert live.model.customers.row_of("Ola", key) == -1
    assert live.model.customers.row_of("Kari", key) >= 0


def test_hiding_nobody_hides_nobody() -> None:
    customers = _customers(OLD)
    assert customers.without(np.zeros(0, dtype=np.uint64)) is customers
    assert replace(customers).row_of("Ola", OLD) == 1
