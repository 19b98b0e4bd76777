"""The outward contract of every endpoint, spoken over a socket with a real server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mersalg.engine import clock
from mersalg.engine.registry import Registry
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import WAIT_SECONDS

KEYS = "storefront:front-key server:server-key report:report-key admin:admin-key"
CART = {
    "checkout_id": "ch_81",
    "session_id": "s_3",
    "customer_id": "c_9",
    "placement": "checkout",
    "locale": "nb",
    "lines": [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}],
    "limits": {"cross_sell": 3, "upsell": 1},
    "mode": "discovery",
    "exclude_item_ids": [],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("keyed")
    publish_model(folder / "models", tiny_model(holdout=0.0))
    with running_server(folder, keys=KEYS, key="server-key") as server:
        yield server


@pytest.fixture
def front(server: Server) -> Iterator[httpx.Client]:
    with server.client(key="front-key") as client:
        yield client


@pytest.fixture
def shop(server: Server) -> Iterator[httpx.Client]:
    with server.client(key="server-key") as client:
        yield client


@pytest.fixture
def admin(server: Server) -> Iterator[httpx.Client]:
    with server.client(key="admin-key") as client:
        yield client


@pytest.fixture
def anyone(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


def error_of(response: httpx.Response) -> dict[str, object]:
    """The one error shape, and nothing of our insides in it."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert "Traceback" not in response.text
    assert "/serving/" not in response.text
    return body["error"]


def test_suggestions_are_answered_by_the_contract(front: httpx.Client) -> None:
    response = front.post("/v1/suggestions", json=CART)
    assert response.status_code == 200
    answer = response.json()
    first = ["decision_id", "arm", "model_version", "tracking", "offers"]
    assert list(answer) == [*first, "language", "labels"]
    assert answer["arm"] == "treatment"
    assert answer["tracking"] == "recorded"
    case, *_, phone = answer["offers"]
    assert case["kind"] == "cross_sell"
    assert case["item_id"] == "case-1"
    assert case["unit_price"] == "199.00"
    assert case["evidence"]["n_joint"] == 412
    assert phone["kind"] == "upsell"
    assert phone["replaces"]["item_id"] == "phone-64"
    assert {change["attribute"] for change in phone["gains"]} >= {"storage_gb"}


def test_a_recorded_decision_can_be_explained(server: Server, front: httpx.Client) -> None:
    answer = front.post("/v1/suggestions", json=CART).json()
    with server.client(key="report-key") as reporter:
        response = reporter.get(f"/v1/decisions/{answer['decision_id']}")
    assert response.status_code == 200
    reported = response.json()
    assert reported["arm"] == "treatment"
    assert reported["model_version"] == answer["model_version"]
    assert reported["control_share"] == 0.0
    assert reported["lines"] == [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}]
    assert [offer["offer_id"] for offer in reported["offers"]] == [
        offer["offer_id"] for offer in answer["offers"]
    ]
    assert reported["offers"][0]["evidence"]["n_antecedent"] == 1310
    assert reported["offers"][-1]["gains"]
    assert reported.get("customer_id") != "c_9"  # only pseudonyms are kept


@pytest.mark.parametrize(
    "cart",
    [
        {"checkout_id": "x", "lines": []},
        {"checkout_id": "x"},
        {"checkout_id": "x", "lines": [{"item_id": "no such item", "quantity": 2}]},
        {"checkout_id": 12, "lines": [{"item_id": 7, "quantity": "0.5", "unit_price": 9.5}]},
        {"checkout_id": "x", "lines": [{"item_id": "phone-64"}], "currency": "EUR"},
    ],
)
def test_odd_carts_are_answered_all_the_same(front: httpx.Client, cart: object) -> None:
    response = front.post("/v1/suggestions", json=cart)
    assert response.status_code == 200
    assert response.json()["tracking"] == "recorded"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"checkout_id": NaN}',
        b'{"checkout_id": "x", "lines": [{"item_id": "a", "quantity": Infinity}]}',
        b'{"checkout_id": "x", "lines": [{"item_id": "a", "quantity": -1}]}',
        b'{"checkout_id": "x", "lines": [{"item_id": "a", "quantity": 1e400}]}',
        b'{"checkout_id": "x", "lines": [{"item_id": "a", "unit_price": "nan"}]}',
        b'{"checkout_id": "x", "lines": [{"item_id": "a", "unit_price": "1e999999999"}]}',
        b'{"checkout_id": "x", "lines": [{"item_id": "a", "quantity": ' + b"9" * 5000 + b"}]}",
        b'{"checkout_id": "x", "lines": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"checkout_id": "x", "mode": "guess"}',
        b'{"checkout_id": "\\ud800"}',
        b'{"checkout_id": "' + b"x" * 201 + b'"}',
    ],
)
def test_malformed_bodies_are_a_422(front: httpx.Client, body: bytes) -> None:
    response = front.post("/v1/suggestions", content=body)
    assert response.status_code == 422, response.text
    assert error_of(response)["code"] == "invalid"


def test_every_problem_of_a_body_is_named(front: httpx.Client) -> None:
    response = front.post(
        "/v1/suggestions", json={"lines": [{"quantity": 0}], "limits": {"upsell": 99}}
    )
    details = error_of(response)["details"]
    assert isinstance(details, list)
    assert {problem["where"] for problem in details} == {
        "checkout_id",
        "lines.0.item_id",
        "lines.0.quantity",
        "limits.upsell",
    }


def test_bodies_over_the_limit_are_a_413(front: httpx.Client, shop: httpx.Client) -> None:
    for client, limit in ((shop, 1_048_576), (front, 262_144)):
        announced = client.post("/v1/suggestions", content=b" " * (limit + 1))
        assert announced.status_code == 413
        assert error_of(announced)["code"] == "body_too_large"
        assert client.post("/v1/suggestions", content=b" " * limit).status_code == 422


def test_chunked_bodies_over_the_limit_are_a_413_before_they_end(server: Server) -> None:
    where = urlsplit(server.url)
    address = (where.hostname, where.port)
    with socket.create_connection(address, timeout=WAIT_SECONDS) as connection:
        connection.sendall(
            b"POST /v1/suggestions HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: Bearer front-key\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        try:
            for _ in range(40):  # 2.5 MiB, and no end to it
                connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was cut off, as it should be
        assert b" 413 " in connection.recv(4096).partition(b"\r\n")[0]


def test_compressed_bodies_are_refused(front: httpx.Client) -> None:
    response = front.post("/v1/events", content=b"x", headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415
    error_of(response)


def view(number: int, offer_id: str = "of_1") -> dict[str, object]:
    return {
        "type": "view_promotion",
        "event_id": f"contract-{number}-{offer_id}",
        "occurred_at": "2026-03-02T10:00:05+01:00",
        "offer_id": offer_id,
    }


def purchase(event_id: str) -> dict[str, object]:
    return {
        "type": "purchase",
        "event_id": event_id,
        "occurred_at": "2026-03-02T10:01:00+01:00",
        "checkout_id": "ch_81",
        "transaction_id": f"t-{event_id}",
        "currency": "NOK",
        "items": [{"item_id": "case-1", "quantity": 1, "price": 199.00}],
    }


def test_each_event_is_judged_alone(shop: httpx.Client) -> None:
    events = [
        view(1),
        view(2),
        view(1),
        {**view(2), "offer_id": "another"},
        {"type": "nonsense"},
        "not an object",
        {**view(3), "occurred_at": "yesterday"},
        {key: value for key, value in view(4).items() if key != "event_id"},
        {**view(5), "promotion_id": "of_9", "offer_id": None},
        purchase("contract-purchase"),
        {"type": "decision"},
    ]
    answer = shop.post("/v1/events", json={"events": events}).json()
    assert set(answer) == {"recorded", "duplicates", "rejected"}
    assert (answer["recorded"], answer["duplicates"]) == (4, 1)
    assert [(entry["index"], entry["code"]) for entry in answer["rejected"]] == [
        (3, "conflict"),
        (4, "invalid"),
        (5, "invalid"),
        (6, "invalid"),
        (7, "invalid"),
        (10, "forbidden"),
    ]
    again = shop.post("/v1/events", json={"events": events}).json()
    assert (again["recorded"], again["duplicates"]) == (0, 5)


def test_pages_may_tell_what_was_shown_but_not_what_was_bought(front: httpx.Client) -> None:
    kinds = ["view_promotion", "select_promotion", "add_to_cart", "dismiss_promotion"]
    events = [{**view(number, "front"), "type": kind} for number, kind in enumerate(kinds)]
    events += [
        purchase("front-purchase"),
        {**purchase("front-refund"), "type": "refund"},
        {**purchase("front-cancel"), "type": "cancel"},
        {"type": "purchase"},
    ]
    answer = front.post("/v1/events", json={"events": events}).json()
    assert answer["recorded"] == 4
    assert [(entry["index"], entry["code"]) for entry in answer["rejected"]] == [
        (4, "forbidden"),
        (5, "forbidden"),
        (6, "forbidden"),
        (7, "forbidden"),
    ]


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"events": {}}', b'{"events": null}', b"nope"])
def test_a_call_without_a_list_of_events_is_a_422(front: httpx.Client, body: bytes) -> None:
    response = front.post("/v1/events", content=body)
    assert response.status_code == 422
    error_of(response)


def test_a_call_takes_a_thousand_events_and_no_more(shop: httpx.Client) -> None:
    events = [view(number, "thousand") for number in range(1001)]
    assert shop.post("/v1/events", json={"events": events[:1000]}).json()["recorded"] == 1000
    refused = shop.post("/v1/events", json={"events": events})
    assert refused.status_code == 422
    assert error_of(refused)["code"] == "too_many_events"


# What each key may call: 401 without any, 403 with the wrong one.
CALLS = {
    ("POST", "/v1/suggestions"): {"front", "server"},
    ("POST", "/v1/events"): {"front", "server"},
    ("POST", "/v1/adapters/ga4"): {"front", "server"},
    ("POST", "/v1/adapters/segment"): {"front", "server"},
    ("GET", "/v1/reports/rates"): {"report", "admin"},
    ("GET", "/v1/decisions/none"): {"report", "admin"},
    ("GET", "/v1/models"): {"admin"},
    ("POST", "/v1/models"): {"admin"},
    ("POST", "/v1/models/none/publish"): {"admin"},
    ("GET", "/v1/customers/nobody"): {"admin"},
    ("DELETE", "/v1/customers/nobody"): {"admin"},
    ("GET", "/v1/audit"): {"admin"},
    ("GET", "/metrics"): {"report", "admin"},
}


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_each_key_opens_what_it_should(
    server: Server, anyone: httpx.Client, method: str, path: str
) -> None:
    without = anyone.request(method, path)
    assert without.status_code == 401
    assert error_of(without)["code"] == "unauthorized"
    assert without.headers["www-authenticate"] == "Bearer"
    unknown = anyone.request(method, path, headers={"Authorization": "Bearer front-key2"})
    assert unknown.status_code == 401
    for scope in ("front", "server", "report", "admin"):
        with server.client(key=f"{scope}-key") as client:
            response = client.request(method, path)
        if scope in CALLS[method, path]:
            assert response.status_code not in (401, 403)
            assert response.status_code < 500
        else:
            assert response.status_code == 403
            assert error_of(response)["code"] == "forbidden"


def test_the_reference_names_the_scopes_that_open(anyone: httpx.Client) -> None:
    paths = anyone.get("/openapi.json").json()["paths"]
    for (method, path), opened_by in CALLS.items():
        named = path.replace("customers/nobody", "customers/{customer_id}")
        named = named.replace("decisions/none", "decisions/{decision_id}")
        named = named.replace("models/none", "models/{version}")
        security = paths[named][method.lower()]["security"]
        scopes = {scope for each in security for scope in each["key"]}
        assert scopes == {"storefront" if name == "front" else name for name in opened_by}


def test_a_key_in_another_scheme_is_no_key(anyone: httpx.Client) -> None:
    response = anyone.get("/v1/models", headers={"Authorization": "Basic admin-key"})
    assert response.status_code == 401


def test_unknown_paths_and_methods_speak_the_same_shape(anyone: httpx.Client) -> None:
    missing = anyone.get("/v1/nothing")
    assert missing.status_code == 404
    assert error_of(missing)["code"] == "not_found"
    wrong = anyone.delete("/v1/suggestions")
    assert wrong.status_code == 405
    assert error_of(wrong)["code"] == "method_not_allowed"
    assert wrong.headers["allow"] == "POST"


def test_health_is_open(anyone: httpx.Client) -> None:
    assert anyone.get("/healthz").json() == {"status": "ok"}
    ready = anyone.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert ready.json()["database"] == "up"


def test_answers_carry_strict_headers(anyone: httpx.Client) -> None:
    for path in ("/healthz", "/nothing", "/v1/models", "/dashboard/login", "/docs"):
        headers = anyone.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script-src 'unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"


def test_metrics_are_text_that_prometheus_reads(server: Server, front: httpx.Client) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    front.post("/v1/suggestions", json=CART)
    with server.client(key="report-key") as reporter:
        response = reporter.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    recorded = [
        sample.value
        for sample in families["mersalg_decisions"].samples
        if sample.labels.get("tracking") == "recorded" and sample.name.endswith("_total")
    ]
    assert recorded[0] >= 1
    routes = {sample.labels["route"] for sample in families["mersalg_requests"].samples}
    assert "/v1/suggestions" in routes
    assert all("nobody" not in route for route in routes)  # ids are no labels


def test_the_reference_describes_every_endpoint(anyone: httpx.Client) -> None:
    document = anyone.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/suggestions",
        "/v1/events",
        "/v1/adapters/ga4",
        "/v1/adapters/segment",
        "/v1/adapters/shopify",
        "/v1/reports/rates",
        "/v1/decisions/{decision_id}",
        "/v1/models",
        "/v1/models/{version}/publish",
        "/v1/models/rollback",
        "/v1/customers/{customer_id}",
        "/v1/audit",
        "/v1/items",
        "/v1/items/{item_id}",
        "/v1/rules",
        "/v1/rules/{rule_id}",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text, f"{name} is described but never used"
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    suggest = document["paths"]["/v1/suggestions"]["post"]
    assert suggest["security"] == [{"key": ["storefront"]}, {"key": ["server"]}]
    assert suggest["requestBody"]["content"]["application/json"]["example"]["lines"]
    assert {"200", "401", "413", "422"} <= set(suggest["responses"])
    refused = suggest["responses"]["422"]["content"]["application/json"]["schema"]
    assert refused == {"$ref": "#/components/schemas/ErrorAnswer"}


def test_the_documentation_page_shows_them(anyone: httpx.Client) -> None:
    page = anyone.get("/docs")
    assert page.status_code == 200
    assert "/v1/suggestions" in page.text
    assert '"item_id": "phone-64"' in page.text
    assert "<script" not in page.text


def test_examples_of_the_reference_are_accepted(shop: httpx.Client, anyone: httpx.Client) -> None:
    paths = anyone.get("/openapi.json").json()["paths"]
    for path in ("/v1/suggestions", "/v1/events"):
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]
        response = shop.post(path, json=body)
        assert response.status_code == 200
        assert not response.json().get("rejected")


def test_models_are_listed_verified_published_and_rolled_back(
    server: Server, admin: httpx.Client, front: httpx.Client, tmp_path: Path
) -> None:
    listed = admin.get("/v1/models").json()
    first = listed["published"]
    assert listed["serving"] == first
    assert [entry["version"] for entry in listed["versions"]] == [first]

    models = server.log.parent / "models"
    second = Registry(models).write(tiny_model(holdout=0.0), {"summary": "the second"})
    verified = admin.post("/v1/models", json={"version": second})
    assert verified.status_code == 200
    assert verified.json()["manifest"]["summary"] == "the second"
    assert admin.get("/v1/models").json()["published"] == first  # verified is not published

    published = admin.post(f"/v1/models/{second}/publish")
    assert published.json() == {"published": second, "serving": second}
    assert front.post("/v1/suggestions", json=CART).json()["model_version"] == second

    back = admin.post("/v1/models/rollback")
    assert back.json() == {"published": first, "serving": first}
    assert front.post("/v1/suggestions", json=CART).json()["model_version"] == first
    assert error_of(admin.post("/v1/models/rollback"))["code"] == "model_not_found"


@pytest.mark.parametrize("version", ["none", "..", "20260101T000000Z-00000000", "a%2F..%2Fb"])
def test_versions_that_are_not_there_are_a_404(admin: httpx.Client, version: str) -> None:
    response = admin.post(f"/v1/models/{version}/publish")
    assert response.status_code == 404
    error_of(response)
    if version != "a%2F..%2Fb":
        assert admin.post("/v1/models", json={"version": version}).status_code == 404


def test_a_damaged_version_is_never_published(server: Server, admin: httpx.Client) -> None:
    models = server.log.parent / "models"
    before = admin.get("/v1/models").json()["published"]
    damaged = Registry(models).write(tiny_model(), {})
    file = next((models / damaged).glob("*.npy"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    for response in (
        admin.post("/v1/models", json={"version": damaged}),
        admin.post(f"/v1/models/{damaged}/publish"),
    ):
        assert response.status_code == 409
        assert error_of(response)["code"] == "model_corrupt"
    assert admin.get("/v1/models").json()["published"] == before


def test_customers_are_exported_and_erased(admin: httpx.Client, shop: httpx.Client) -> None:
    cart = {**CART, "customer_id": "to be/forgotten", "session_id": "s-forget"}
    decision_id = shop.post("/v1/suggestions", json=cart).json()["decision_id"]
    bought = {**purchase("forget-purchase"), "customer_id": "to be/forgotten"}
    assert shop.post("/v1/events", json={"events": [bought]}).json()["recorded"] == 1

    path = "/v1/customers/to%20be%2Fforgotten"
    exported = admin.get(path).json()
    assert exported["customer_id"] == "to be/forgotten"
    assert [fact["type"] for fact in exported["facts"]] == ["purchase", "decision"]
    assert exported["facts"][1]["decision_id"] == decision_id
    assert {"remembered", "units", "set_aside"} <= set(exported)

    assert admin.delete(path).json() == {"customer_id": "to be/forgotten", "facts": 2}
    assert admin.get(path).json()["facts"] == []
    assert admin.delete(path).json()["facts"] == 0
    kept = admin.get(f"/v1/decisions/{decision_id}").json()  # the fact itself stays
    assert kept["decision_id"] == decision_id


def test_the_report_has_both_rates(server: Server, shop: httpx.Client) -> None:
    cart = {**CART, "checkout_id": "ch-report", "customer_id": "c-report", "session_id": "s-r"}
    offers = shop.post("/v1/suggestions", json=cart).json()["offers"]
    case = next(offer for offer in offers if offer["item_id"] == "case-1")
    now = clock.to_iso(clock.now() + clock.MICROS_PER_DAY)
    events = [
        {"type": "view_promotion", "event_id": "report-view", "occurred_at": now,
         "offer_id": case["offer_id"]},
        {**purchase("report-purchase"), "occurred_at": now, "checkout_id": "ch-report",
         "customer_id": "c-report"},
    ]  # fmt: skip
    assert shop.post("/v1/events", json={"events": events}).json()["recorded"] == 2
    with server.client(key="report-key") as reporter:
        response = reporter.get("/v1/reports/rates", params={"by": "day"})
    assert response.status_code == 200
    report = response.json()
    assert {"from", "to", "timezone", "currency", "attribution_window_days", "level"} <= set(report)
    assert report["currency"] == "NOK"
    assert report["timezone"] == "Europe/Oslo"
    customer = report["total"]["cross_sell"]["customer"]
    assert customer["numerator"] >= 1
    assert report["total"]["upsell"]["customer"]["numerator"] == 0
    assert report["groups"]
    assert {"duplicates", "late", "unmatched", "bots_excluded", "srm_p_value"} <= set(
        report["quality"]
    )


def test_a_report_key_reads_no_group_of_few_buyers(
    server: Server, admin: httpx.Client, shop: httpx.Client
) -> None:
    cart = {**CART, "checkout_id": "ch-few", "customer_id": "c-few", "segment": "one person"}
    assert shop.post("/v1/suggestions", json=cart).json()["offers"]
    query = {"by": "segment", "impressions": "served"}
    with server.client(key="report-key") as reporter:
        report = reporter.get("/v1/reports/rates", params=query).json()
    assert report["folded_below"] == 5
    groups = {group["key"]["segment"] for group in report["groups"]}
    assert "other" in groups
    assert "one person" not in groups
    whole = admin.get("/v1/reports/rates", params=query).json()
    assert "one person" in {group["key"]["segment"] for group in whole["groups"]}
    assert "folded_below" not in whole
    assert whole["total"] == report["total"]


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"by": "nonsense"},
        {"kind": "sidesell"},
        {"timezone": "Mars/Olympus"},
    ],
)
def test_impossible_report_questions_are_a_422(server: Server, query: dict[str, str]) -> None:
    with server.client(key="report-key") as reporter:
        response = reporter.get("/v1/reports/rates", params=query)
    assert response.status_code == 422, response.text
    error_of(response)
