"""Fields that are not known: refused where they look like a slip, else named, never silent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.models import tiny_model
from tests.support.servers import publish_model, running_server

CART: dict[str, Any] = {"checkout_id": "k", "lines": [{"item_id": "phone-64"}]}
WHEN = "2026-03-02T10:01:00+01:00"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("unknown")
    publish_model(folder / "models", tiny_model(holdout=0.0))
    with running_server(folder) as server, server.client() as opened:
        yield opened


SLIPS = {
    "excluded_item_ids": ([], "exclude_item_ids"),
    "exclude_items_id": ([], "exclude_item_ids"),
    "declined_itemids": ([], "declined_item_ids"),
    "checkoutid": ("x", "checkout_id"),
    "checkoutId": ("x", "checkout_id"),
    "customerid": ("x", "customer_id"),
    "sesion_id": ("x", "session_id"),
    "line": ([], "lines"),
    "Mode": ("complete", "mode"),
    "limit": ({}, "limits"),
    "lokale": ("nb", "locale"),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_refused_and_what_was_meant_is_named(client: httpx.Client, name: str) -> None:
    value, meant = SLIPS[name]
    answer = client.post("/v1/suggestions", json={**CART, name: value})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["details"][0]["where"] == name
    assert error["details"][0]["message"] == f"{name!r} is not known; did you mean {meant}?"


def test_slips_inside_and_other_problems_are_named_together(client: httpx.Client) -> None:
    lines = [{"item_id": "phone-64", "quantty": 2, "unit_price": -1}]
    body = {"checkout_id": "k", "lines": lines, "limits": {"cross_sel": 1}}
    details = client.post("/v1/suggestions", json=body).json()["error"]["details"]
    assert [each["where"] for each in details] == [
        "lines.quantty",
        "limits.cross_sel",
        "lines.0.unit_price",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "utm_source",
        "utm.source",
        "mode.of",
        ".",
        "",
        "exclude_the_items",
        "cart_total",
        "x",
        "Ærlig",
    ],
)
def test_other_fields_are_named_in_warnings(client: httpx.Client, name: str) -> None:
    lines = [{"item_id": "phone-64", "colour": "red"}, {"item_id": "case-1", "colour": "blue"}]
    body = {"checkout_id": "k", "lines": lines, name: {"any": ["thing"]}}
    answer = client.post("/v1/suggestions", json=body)
    assert answer.status_code == 200
    listed = ", ".join(map(repr, sorted(["lines.colour", name])))
    assert answer.json()["warnings"] == [f"fields that are not known were ignored: {listed}"]
    assert "warnings" not in client.post("/v1/suggestions", json=CART).json()


def test_many_fields_are_counted_not_listed(client: httpx.Client) -> None:
    body = {**CART, **{f"{'a' * 300}{number}": 1 for number in range(40)}}
    (warning,) = client.post("/v1/suggestions", json=body).json()["warnings"]
    assert warning.endswith(" and 30 more")
    assert len(warning) < 2_500


def test_in_events_they_are_ignored_and_counted(client: httpx.Client) -> None:
    def n_counted() -> float:
        lines = client.get("/metrics").text.splitlines()
        found = [line for line in lines if line.startswith("mersalg_unknown_fields_total")]
        return float(found[0].split()[-1])

    item = {"item_id": "case-1", "price": "199.00", "item_name": "Case", "quantity": 1}
    event = {"type": "purchase", "event_id": "p1", "occurred_at": WHEN, "transaction_id": "t1"}
    event |= {"currency": "NOK", "items": [item], "transaction_idd": "t1", "coupon": "X"}
    view = {"type": "view_promotion", "event_id": "v1", "occurred_at": WHEN, "offer_id": "o"}
    before = n_counted()
    answer = client.post("/v1/events", json={"events": [event, view]}).json()
    assert (answer["recorded"], answer["rejected"]) == (2, [])
    assert answer["warnings"] == [
        "fields that are not known were ignored: 'coupon', 'items.item_name', 'transaction_idd'"
    ]
    assert n_counted() == before + 1
    # They are no part of what the event is: sent again without them it is the same.
    event = {name: part for name, part in event.items() if name not in ("coupon", "items")}
    known = {name: part for name, part in item.items() if name != "item_name"}
    again = client.post("/v1/events", json={"events": [{**event, "items": [known]}]}).json()
    assert again["duplicates"] == 1
