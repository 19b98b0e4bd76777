"""What a buyer dismissed, asked of every store: by checkout, session and customer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mersalg.engine.fact_values import STOREFRONT_PREFIX
from mersalg.engine.facts import CartLine, Decision, Event, Offer
from mersalg.engine.storage.questions import BuyerQuery
from mersalg.engine.storage.store import Store, open_store
from tests.support.repetitions import repetitions

SECRET = b"a secret of the tests, long enough"
HOUR = 3_600_000_000


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    if request.param == "postgresql":
        url = cast(str, request.getfixturevalue("fresh_postgres_url"))
    opened = open_store(url, secret=SECRET)
    opened.migrate()
    yield opened
    opened.close()


def decided(
    number: int,
    checkout: str,
    session: str | None = None,
    customer: str | None = None,
    items: tuple[str, ...] = ("case", "glass"),
) -> Decision:
    return Decision(
        event_id=f"d{number}",
        decision_id=f"d{number}",
        occurred_at=number * HOUR,
        checkout_id=checkout,
        session_id=session,
        customer_id=customer,
        arm="treatment",
        model_version="v1",
        placement="checkout",
        currency="NOK",
        lines=(CartLine("phone", 1, 100),),
        offers=tuple(
            Offer(f"o{number}-{item}", "cross_sell", item, place, 100)
            for place, item in enumerate(items, start=1)
        ),
    )


def waved_away(offer_id: str, at: int, **names: str) -> Event:
    return Event(
        event_id=f"w-{offer_id}-{at}",
        type="dismiss_promotion",
        occurred_at=at * HOUR,
        offer_id=offer_id,
        **names,  # type: ignore[arg-type]
    )


def dismissed(
    store: Store, checkout: str, session: str | None, customer: str | None, after: int
) -> list[str]:
    query = BuyerQuery(checkout, session, customer, dismissed_after=after)
    [buyer] = store.questions.known_buyers([query])
    return list(buyer.dismissed_item_ids)


def any_dismissed(store: Store, after: int) -> bool:
    [buyer] = store.questions.known_buyers([BuyerQuery("nobody's", dismissed_after=after)])
    return buyer.any_dismissed


def test_a_dismissal_holds_for_checkout_session_and_customer(store: Store) -> None:
    # The dismissal itself names nothing but the offer.
    store.facts.append([decided(1, "ch", "s", "kari"), waved_away("o1-case", 2)])
    assert any_dismissed(store, 0)
    assert dismissed(store, "ch", None, None, 0) == ["case"]
    assert dismissed(store, "other", "s", None, 0) == ["case"]
    assert dismissed(store, "other", None, "kari", 0) == ["case"]
    assert dismissed(store, "other", "other", "ola", 0) == []
    assert dismissed(store, "other", None, None, 0) == []
    # A customer of that name is not a session of that name.
    assert dismissed(store, "other", "kari", "s", 0) == []


def test_a_dismissal_may_name_who_the_decision_did_not(store: Store) -> None:
    store.facts.append(
        [decided(1, "ch"), waved_away("o1-glass", 2, customer_id="kari", session_id="later")]
    )
    assert dismissed(store, "x", None, "kari", 0) == ["glass"]
    assert dismissed(store, "x", "later", None, 0) == ["glass"]


def test_what_a_page_dismisses_holds_for_checkout_and_session_alone(store: Store) -> None:
    """A customer is named by a server, or by a page with a token of this customer."""
    made = decided(1, "ch", "s", "kari")
    dismissal = waved_away("o1-case", 2, session_id="s2", customer_id="ola")
    store.facts.append(
        [
            replace(made, scope="storefront"),
            replace(dismissal, event_id=f"{STOREFRONT_PREFIX}w", scope="storefront"),
        ]
    )
    assert dismissed(store, "ch", None, None, 0) == ["case"]
    assert dismissed(store, "x", "s", None, 0) == ["case"]
    assert dismissed(store, "x", "s2", None, 0) == ["case"]
    assert dismissed(store, "x", None, "kari", 0) == []
    assert dismissed(store, "x", None, "ola", 0) == []
    token = replace(dismissal, event_id=f"{STOREFRONT_PREFIX}t", scope="token")
    store.facts.append([token])
    assert dismissed(store, "x", None, "ola", 0) == ["case"]
    assert dismissed(store, "x", None, "kari", 0) == [], "only the page said whose decision it was"
    store.facts.append(
        [
            replace(decided(3, "k3", None, "kari"), scope="token"),
            replace(waved_away("o3-glass", 4), scope="server"),
        ]
    )
    assert dismissed(store, "x", None, "kari", 0) == ["glass"]


def test_old_dismissals_are_let_go(store: Store) -> None:
    store.facts.append([decided(1, "ch"), waved_away("o1-case", 2), waved_away("o1-glass", 4)])
    assert dismissed(store, "ch", None, None, 1 * HOUR) == ["case", "glass"]
    assert dismissed(store, "ch", None, None, 2 * HOUR) == ["glass"]
    assert dismissed(store, "ch", None, None, 4 * HOUR) == []
    assert any_dismissed(store, 3 * HOUR)
    assert not any_dismissed(store, 4 * HOUR)


def test_only_dismissals_count_and_each_item_once(store: Store) -> None:
    clicked = Event(event_id="c", type="select_promotion", occurred_at=2 * HOUR, offer_id="o1-case")
    store.facts.append([decided(1, "ch", "s", "kari"), clicked])
    assert not any_dismissed(store, 0)
    assert dismissed(store, "ch", "s", "kari", 0) == []
    store.facts.append(
        [
            decided(2, "ch", "s", "kari"),
            waved_away("o1-case", 3),
            waved_away("o2-case", 4),
            waved_away("nobody-offered-this", 5, customer_id="kari"),
        ]
    )
    assert dismissed(store, "ch", "s", "kari", 0) == ["case"]


def test_who_is_forgotten_is_a_stranger(store: Store) -> None:
    store.facts.append([decided(1, "ch", "s", "kari"), waved_away("o1-case", 2)])
    store.people.erase("kari")
    assert dismissed(store, "other", "s", "kari", 0) == []
    assert dismissed(store, "ch", None, None, 0) == ["case"]


_NAMES = st.sampled_from([None, "a", "b"])
_FACTS = st.lists(
    st.tuples(st.sampled_from("pqr"), _NAMES, _NAMES, st.none() | st.integers(0, 9)), max_size=8
)


@settings(
    max_examples=repetitions(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(_FACTS, st.integers(0, 9), st.sampled_from("pqr"), _NAMES, _NAMES)
def test_found_as_by_going_through_all(
    tmp_path: Path,
    drawn: list[tuple[str, str | None, str | None, int | None]],
    after: int,
    checkout: str,
    session: str | None,
    customer: str | None,
) -> None:
    path = tmp_path / "all.db"
    path.unlink(missing_ok=True)
    store = open_store(f"sqlite:///{path}", secret=SECRET)
    store.migrate()
    expected: set[str] = set()
    for number, (own_checkout, own_session, own_customer, at) in enumerate(drawn):
        item = f"item-{number % 3}"
        store.facts.append([decided(number, own_checkout, own_session, own_customer, (item,))])
        if at is None:
            continue
        store.facts.append([waved_away(f"o{number}-{item}", at)])
        theirs = (
            own_checkout == checkout
            or (session is not None and own_session == session)
            or (customer is not None and own_customer == customer)
        )
        if theirs and at > after:
            expected.add(item)
    found = dismissed(store, checkout, session, customer, after * HOUR)
    store.close()
    assert len(found) == len(set(found))
    assert set(found) == expected
