"""Who did not agree to being remembered is counted and not kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mersalg.engine.config import TrackingSection
from mersalg.engine.experiment import assign_arm, unit_of
from mersalg.engine.fact_json import parse_fact
from mersalg.engine.words import customer_of
from tests.support.commands import run
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server

WHEN = "2026-03-01T10:00:00+01:00"


@pytest.fixture(scope="module", params=["assumed", "required"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path, httpx.Client]]:
    folder = tmp_path_factory.mktemp(request.param)
    model = tiny_model(holdout=0.5, tracking=TrackingSection(consent=request.param))
    publish_model(folder / "models", model)
    server: Server
    with running_server(folder) as server, server.client() as client:
        yield request.param, folder, client


def _stored(folder: Path, checkout: str) -> list[tuple[str | None, str | None]]:
    with sqlite3.connect(folder / "facts.db") as connection:
        return connection.execute(
            "select customer_id, session_id from facts where checkout_id = ? order by event_id",
            (checkout,),
        ).fetchall()


def _checkout(client: httpx.Client, name: str, consent: bool | None) -> str:
    """One checkout with a decision and a purchase of an offered item; the arm."""
    said = {} if consent is None else {"consent": consent}
    who = {"checkout_id": name, "session_id": f"s-{name}", "customer_id": f"c-{name}"}
    body = {**who, **said, "lines": [{"item_id": "phone-64", "quantity": 1}]}
    answer = client.post("/v1/suggestions", json=body).raise_for_status().json()
    assert answer["tracking"] == "recorded"
    purchase = {
        "type": "purchase",
        "event_id": f"z-{name}",
        "occurred_at": WHEN,
        "transaction_id": f"t-{name}",
        "currency": "NOK",
        "items": [{"item_id": "phone-64", "quantity": 1, "price": "5990"}],
        **who,
        **said,
    }
    recorded = client.post("/v1/events", json={"events": [purchase] * 2}).raise_for_status().json()
    assert (recorded["recorded"], recorded["duplicates"]) == (1, 1)
    return answer["arm"]


@pytest.mark.parametrize("consent", [True, False, None])
def test_only_who_agreed_is_kept(
    served: tuple[str, Path, httpx.Client], consent: bool | None
) -> None:
    policy, folder, client = served
    agreed = consent if consent is not None else policy == "assumed"
    arms: set[str] = set()
    for number in range(12):
        name = f"{consent}-{number}"
        arm = _checkout(client, name, consent)
        # A buyer who is not remembered is counted by the checkout, and so drawn by it.
        unit = unit_of(f"c-{name}", None) if agreed else unit_of(None, None, name)
        assert arm == assign_arm(unit, salt="tiny", holdout=0.5)
        arms.add(arm)
        stored = _stored(folder, name)
        assert len(stored) == 2
        for customer, session in stored:
            assert (customer is not None) == (session is not None) == agreed
    assert arms == {"treatment", "control"}


def test_the_counts_work_without_anybody(served: tuple[str, Path, httpx.Client]) -> None:
    _, folder, client = served
    before = _report(folder)
    for number in range(8):
        _checkout(client, f"counted-{number}", consent=False)
    after = _report(folder)
    counted = [
        sum(each["incremental"][arm]["denominator"] for arm in ("treatment", "control"))
        for each in (before, after)
    ]
    assert counted[1] == counted[0] + 8


def _report(folder: Path) -> dict:

    reported = run("report", "--database", folder / "facts.db", "--format", "json")
    return json.loads(reported)["total"]["cross_sell"]


def test_an_event_that_says_no_names_nobody() -> None:
    fact = {
        "type": "view_promotion",
        "event_id": "e",
        "occurred_at": WHEN,
        "offer_id": "o",
        "customer_id": "kari",
        "session_id": "s",
    }
    assert parse_fact({**fact, "consent": False}).customer_id is None
    assert parse_fact({**fact, "consent": False}).session_id is None
    assert parse_fact({**fact, "consent": True}) == parse_fact(fact)
    assert parse_fact(fact).customer_id == "kari"


GUESTS = [
    "0",
    "guest",
    "Guest_Checkout",
    "walk-in",
    "N/A",
    "-",
    " null ",
    "00000000-" + "0000-" * 3 + "0" * 12,
]


@pytest.mark.parametrize("word", [*GUESTS, 0])
def test_words_for_guests_are_no_customer(
    word: str | int, served: tuple[str, Path, httpx.Client]
) -> None:
    _, folder, client = served
    name = f"guest-{word}"
    body = {"checkout_id": name, "session_id": name, "customer_id": word, "consent": True}
    answer = client.post("/v1/suggestions", json={**body, "lines": []}).raise_for_status().json()
    assert answer["warnings"] == [
        f"customer_id {str(word)!r} is a word for no customer and was ignored"
    ]
    event = {"type": "cancel", "event_id": name, "occurred_at": WHEN, "transaction_id": name}
    events = [{**event, **body}, {**event, **body, "event_id": f"{name}-k", "customer_id": "k"}]
    said = client.post("/v1/events", json={"events": events}).raise_for_status().json()
    assert said["warnings"] == ["customer_id of 1 event is a word for no customer and was ignored"]
    stored = _stored(folder, name)
    assert [customer is None for customer, _ in stored].count(False) == 1
    assert None not in [session for _, session in stored]


def test_ids_of_customers_are_no_words_for_guests() -> None:
    named = ["c_9", "guest-17", "10", "00", "nancy", "nobody@example.org", "k" * 200]
    assert [*map(customer_of, named)] == named
    assert {*map(customer_of, [*GUESTS, None])} == {None}
