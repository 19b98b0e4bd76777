"""Whatever is sent, the service answers in its own words and never with a 500."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import orjson
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from mersalg.serving.app import create_app
from mersalg.serving.settings import load_settings
from tests.support.repetitions import repetitions
from tests.support.servers import DEADLINE_MS, publish_model


class Application:
    """The whole application with a real database, called without a socket."""

    def __init__(self, app: FastAPI, loop: asyncio.AbstractEventLoop) -> None:
        self._app, self._loop = app, loop

    def call(self, method: str, path: str, body: bytes = b"") -> httpx.Response:
        async def send() -> httpx.Response:
            # An exception that escapes the application is raised here.
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                return await client.request(method, path, content=body)

        return self._loop.run_until_complete(send())


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("robust")
    publish_model(folder / "models")
    app = create_app(
        load_settings(
            {},
            models=folder / "models",
            database=f"sqlite:///{folder / 'facts.db'}",
            database_deadline_ms=DEADLINE_MS,
        )
    )
    loop = asyncio.new_event_loop()
    lifespan = app.router.lifespan_context(app)
    loop.run_until_complete(lifespan.__aenter__())
    yield Application(app, loop)
    loop.run_until_complete(lifespan.__aexit__(None, None, None))
    loop.close()


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["phone-64", "case-1", "5990.00", "-1", "NaN", "1e999", "", "\x00", "NOK"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def nearly(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Objects with the right names, and now and then with anything for a value."""
    return st.fixed_dictionaries(
        {}, optional={name: value | ANYTHING for name, value in fields.items()}
    )


IDS = st.sampled_from(["a", "phone-64", "case-1", "buds", "x" * 200, "x" * 201, 7])
AMOUNTS = st.sampled_from(["0", "10.00", "5990.005", 12, 12.5, "-1", "1e15", 2**60])
CARTS = nearly(
    checkout_id=IDS,
    session_id=IDS,
    customer_id=IDS,
    locale=st.sampled_from(["nb", "en", "xx", "", "nb-NO"]),
    lines=st.lists(nearly(item_id=IDS, quantity=AMOUNTS, unit_price=AMOUNTS), max_size=5),
    limits=nearly(cross_sell=st.integers(0, 20), upsell=st.integers(0, 20)),
    mode=st.sampled_from(["discovery", "complete"]),
    exclude_item_ids=st.lists(IDS, max_size=3),
    currency=st.sampled_from(["NOK", "EUR", "JPY", "XXX"]),
)
EVENTS = st.lists(
    nearly(
        type=st.sampled_from(
            ["view_promotion", "add_to_cart", "purchase", "refund", "cancel", "decision"]
        ),
        event_id=st.uuids().map(str),
        occurred_at=st.sampled_from(
            ["2026-03-02T10:00:05+01:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"]
        ),
        offer_id=IDS,
        checkout_id=IDS,
        session_id=IDS,
        customer_id=IDS,
        transaction_id=IDS,
        currency=st.sampled_from(["NOK", "JPY", "KWD", "nok"]),
        items=st.lists(
            nearly(item_id=IDS, quantity=AMOUNTS, price=AMOUNTS, discount=AMOUNTS), max_size=3
        ),
        is_bot=st.booleans(),
    )
    | ANYTHING,
    max_size=5,
)


def check(response: httpx.Response, *allowed: int) -> None:
    assert response.status_code in allowed, response.text
    if response.status_code != 200:
        assert set(response.json()["error"]) == {"code", "message", "details"}


@settings(max_examples=repetitions(150))
@given(cart=CARTS | ANYTHING)
def test_any_cart_is_answered_or_refused(application: Application, cart: object) -> None:
    check(application.call("POST", "/v1/suggestions", orjson.dumps(cart)), 200, 422)


ITEMS = st.sampled_from(["phone-64", "phone-256", "case-1", "buds", "sim-pin", "unknown"])
UNITS = st.sampled_from([1, 2, 10**9, 10**9 - 1, "0.5", "0.000001", "999999999.999999"])
PRICES = st.none() | st.sampled_from(["0", "0.01", "5990.00", "999999999999.99", 5000])


@settings(max_examples=repetitions(100))
@given(
    lines=st.lists(
        st.fixed_dictionaries(
            {"item_id": ITEMS, "quantity": UNITS, "unit_price": PRICES, "discount": PRICES}
        ),
        max_size=5,
    ),
    session=st.integers(0, 40),
)
def test_what_is_recorded_of_any_cart_can_be_read(
    application: Application, lines: list[dict[str, object]], session: int
) -> None:
    cart = {"checkout_id": "any", "session_id": f"s-{session}", "lines": lines}
    answer = application.call("POST", "/v1/suggestions", orjson.dumps(cart))
    check(answer, 200)
    assert answer.json()["tracking"] == "recorded"
    check(application.call("GET", f"/v1/decisions/{answer.json()['decision_id']}"), 200)


@settings(max_examples=repetitions(100))
@given(body=st.fixed_dictionaries({"events": EVENTS}) | ANYTHING)
def test_any_events_are_taken_or_refused(application: Application, body: object) -> None:
    response = application.call("POST", "/v1/events", orjson.dumps(body))
    check(response, 200, 422)
    if response.status_code == 200:
        answer = response.json()
        assert isinstance(body, dict)
        reported = answer["recorded"] + answer["duplicates"] + len(answer["rejected"])
        assert reported == len(body["events"])


@settings(max_examples=repetitions(100))
@given(body=st.binary(max_size=60))
def test_any_bytes_are_refused_politely(application: Application, body: bytes) -> None:
    for path in ("/v1/suggestions", "/v1/events", "/v1/models"):
        check(application.call("POST", path, body), 422)


@settings(max_examples=repetitions(60))
@given(
    name=st.sampled_from(["from", "to", "by", "kind", "timezone", "currency", "days", "x"]),
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(["2026-01-01", "0001-01-01", "9999-12-31", "day,item", "-1", "1e9"]),
)
def test_any_report_question_is_answered_or_refused(
    application: Application, name: str, value: str
) -> None:
    query = str(httpx.QueryParams({name: value}))
    check(application.call("GET", f"/v1/reports/rates?{query}"), 200, 422)
    check(application.call("GET", f"/dashboard?{query}"), 200, 422)


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/items", "/dashboard/funnel"])
@pytest.mark.parametrize(
    "query",
    ["from=0001-01-01", "to=0001-01-01", "from=9999-12-31", "from=0001-01-01&to=9999-12-31"],
)
def test_the_first_and_the_last_day_there_are_make_pages(
    application: Application, path: str, query: str
) -> None:
    check(application.call("GET", f"{path}?{query}"), 200, 422)


@settings(max_examples=repetitions(60))
@given(part=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_any_id_in_a_path_is_answered_or_refused(application: Application, part: str) -> None:
    from urllib.parse import quote

    segment = quote(part, safe="")
    for method, path in (
        ("GET", f"/v1/decisions/{segment}"),
        ("GET", f"/v1/customers/{segment}"),
        ("DELETE", f"/v1/customers/{segment}"),
        ("POST", f"/v1/models/{segment}/publish"),
        ("GET", f"/dashboard/static/{segment}"),
        ("GET", f"/{segment}"),
    ):
        check(application.call(method, path), 200, 404, 405, 409, 422)


def test_the_tail_of_all_this_is_a_report_that_still_works(application: Application) -> None:
    report = application.call("GET", "/v1/reports/rates")
    assert report.status_code == 200
    assert application.call("GET", "/dashboard").status_code == 200


def test_what_is_malformed_is_named_in_plain_words(application: Application) -> None:
    def reported(body: bytes) -> str:
        return str(application.call("POST", "/v1/suggestions", body).json()["error"]["message"])

    assert reported(b'{"checkout_id": "a", "lines": {}}') == "lines: must be a list"
    assert reported(b'{"checkout_id": "a", "lines": ["b"]}') == "lines.0: must be a JSON object"
    assert reported(b"[]") == "must be a JSON object"


@pytest.mark.parametrize("text", ["1_0", "\u0661", "1e", "0x1"])
def test_a_number_is_what_a_shop_means_by_one(application: Application, text: str) -> None:
    for field in ("quantity", "unit_price", "discount"):
        line = {"item_id": "phone-64", field: text}
        cart = {"checkout_id": "a", "lines": [line]}
        check(application.call("POST", "/v1/suggestions", orjson.dumps(cart)), 422)


def test_group_keys_may_be_repeated(application: Application) -> None:
    for session in range(4):
        cart = {
            "checkout_id": "g",
            "session_id": f"s-{session}",
            "lines": [{"item_id": "phone-64"}],
        }
        check(application.call("POST", "/v1/suggestions", orjson.dumps(cart)), 200)
    at_once, repeated = (
        application.call("GET", f"/v1/reports/rates?impressions=served&{query}").json()
        for query in ("by=day,item", "by=day&by=item&kind=cross_sell&kind=upsell")
    )
    assert {*at_once["groups"][0]["key"]} == {"day", "item"}
    assert repeated["groups"] == at_once["groups"]
    assert repeated["total"] == at_once["total"]


def test_a_misspelt_parameter_of_a_report_is_refused_and_not_ignored(
    application: Application,
) -> None:
    answer = application.call("GET", "/v1/reports/rates?form=2026-03-01&to=2026-03-31")
    check(answer, 422)
    assert answer.json()["error"]["message"] == "query.form: is not a parameter of this call"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_may_ask_for_the_head_alone(application: Application, path: str) -> None:
    answer = application.call("HEAD", path)
    check(answer, 200)
    assert answer.content == b""
